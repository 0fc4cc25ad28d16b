"""Sentences such as language models give when asked what a class looks like; none of them is of a built-in pack."""

from __future__ import annotations

BRAIN = {
    "glioma": (
        "A glioma appears as an irregular mass with blurry margins that infiltrate the white matter.",
        "On MRI a glioma may show a dark necrotic core with a ring of enhancement.",
        "A glioma is often surrounded by a wide area of edema.",
        "A glioma can cross the corpus callosum into the other hemisphere.",
        "A glioma has a heterogeneous texture with cystic and bleeding parts.",
        "A glioma shifts the midline and squeezes the ventricle on its side.",
    ),
    "meningioma": (
        "A meningioma is a well-defined round mass attached to the dura.",
        "A meningioma enhances brightly and evenly and has a dural tail.",
        "A meningioma grows along the falx or the inner side of the skull.",
        "The bone next to a meningioma may look thickened.",
        "A meningioma pushes the brain away and leaves a rim of fluid between them.",
        "A meningioma has a broad base on the covering of the brain.",
    ),
    "no tumor": (
        "An image with no tumor shows symmetric hemispheres.",
        "In a scan with no tumor the ventricles are of normal size.",
        "A brain with no tumor has a midline that is straight.",
        "A scan with no tumor shows regular sulci and gyri.",
        "With no tumor, gray and white matter are clearly distinct.",
        "An MRI with no tumor has an even signal throughout the brain.",
    ),
    "pituitary": (
        "A pituitary tumor is located in the sella turcica at the base of the brain.",
        "A pituitary tumor rises upward and touches the optic chiasm.",
        "A large pituitary tumor takes the shape of a snowman on a coronal image.",
        "A pituitary tumor widens the sella and thins its floor.",
        "A pituitary tumor lies above the sphenoid sinus in the midline.",
        "A pituitary tumor may grow sideways into the cavernous sinus.",
    ),
}
RETINA = {
    "cataract": (
        "A cataract makes the whole picture of the fundus hazy.",
        "With a cataract the vessels of the retina look blurred and faint.",
        "A cataract lowers the contrast between optic disc and background.",
        "A fundus photo through a cataract looks foggy and yellowish.",
        "Behind a cataract the small vessels cannot be made out.",
        "A dense cataract hides most of the fundus.",
    ),
    "diabetic retinopathy": (
        "Diabetic retinopathy shows small red dots called microaneurysms.",
        "Diabetic retinopathy has yellow hard exudates near the macula.",
        "Blot hemorrhages are scattered over the fundus in diabetic retinopathy.",
        "Cotton wool spots are white fluffy patches in diabetic retinopathy.",
        "In advanced diabetic retinopathy new fragile vessels grow on the retina.",
        "Diabetic retinopathy can show beaded veins.",
    ),
    "glaucoma": (
        "Glaucoma enlarges the cup of the optic disc.",
        "In glaucoma the ratio of cup to disc is high.",
        "Glaucoma thins the rim of nerve tissue around the cup.",
        "A glaucoma disc may have a notch in its rim and a splinter hemorrhage.",
        "The vessels bend sharply at the edge of the cup in glaucoma.",
        "Glaucoma goes with a pale optic disc and loss of the nerve fiber layer.",
    ),
    "normal": (
        "A normal fundus has a pink optic disc with sharp edges.",
        "A normal macula is darker than the retina around it.",
        "Normal vessels branch smoothly from the disc.",
        "A normal retina has an even orange color.",
        "The cup of a normal disc is small.",
        "A normal fundus shows a bright reflex at the fovea.",
    ),
}
BLOOD = {
    "eosinophil": (
        "An eosinophil has large orange granules that fill its cytoplasm.",
        "The nucleus of an eosinophil has two lobes joined by a thin thread.",
        "An eosinophil stains bright pink because of its granules.",
        "An eosinophil shows coarse reddish granules around a nucleus of two lobes.",
        "The granules of an eosinophil are round, large and all of one size.",
        "An eosinophil looks like a cell packed with orange beads.",
    ),
    "lymphocyte": (
        "A lymphocyte is a small cell with a round dark nucleus.",
        "A lymphocyte has only a thin rim of pale blue cytoplasm.",
        "The round nucleus of a lymphocyte fills nearly the whole cell.",
        "A lymphocyte has dense, dark, clumped chromatin.",
        "A lymphocyte is hardly larger than a red cell beside it.",
        "A lymphocyte shows a thin blue rim around a round nucleus.",
    ),
    "monocyte": (
        "A monocyte is the largest white cell in the smear.",
        "A monocyte has a kidney-shaped nucleus that is folded.",
        "The cytoplasm of a monocyte is gray-blue like ground glass.",
        "A monocyte may have clear vacuoles in its gray cytoplasm.",
        "A monocyte is large and has an indented, horseshoe-shaped nucleus.",
        "The chromatin of a monocyte is loose and looks like lace.",
    ),
    "neutrophil": (
        "A neutrophil has a nucleus with three to five segments.",
        "The segments of a neutrophil nucleus hang on fine strands.",
        "A neutrophil has fine, pale lilac granules.",
        "A neutrophil shows a multilobed nucleus with several segments.",
        "The cytoplasm of a neutrophil is pale pink and finely granular.",
        "A young neutrophil has a nucleus like a curved band.",
    ),
}
LUNG_CT = {
    "emphysema": (
        "Emphysema shows dark areas of destroyed lung without walls.",
        "Emphysema makes the lung look full of black holes.",
        "On CT emphysema appears as low density areas in the upper lobes.",
        "Emphysema leaves few vessels in large dark areas.",
        "Large bullae lie beneath the pleura in emphysema.",
        "Emphysema has dark holes around the center of the lobules.",
    ),
    "pleural effusion": (
        "A pleural effusion is a crescent of fluid behind the lung.",
        "A pleural effusion collects at the lowest part of the chest.",
        "A pleural effusion appears gray, like water, between lung and ribs.",
        "A large pleural effusion presses the lung together.",
        "The fluid of a pleural effusion has a smooth curved border.",
        "A pleural effusion layers along the back of the chest.",
    ),
    "pulmonary fibrosis": (
        "Pulmonary fibrosis shows honeycomb cysts beneath the pleura.",
        "Pulmonary fibrosis has a net of fine white lines at the bases.",
        "Bronchi are pulled wide in pulmonary fibrosis.",
        "Pulmonary fibrosis forms rows of small cysts with thick walls.",
        "Reticular lines at the bases of both lungs are typical of pulmonary fibrosis.",
        "Pulmonary fibrosis shrinks the lower lobes and distorts the fissures.",
    ),
    "pulmonary nodule": (
        "A pulmonary nodule is a round white spot within the lung.",
        "A pulmonary nodule may have spiky edges that reach into the lung.",
        "A pulmonary nodule measures less than three centimeters.",
        "A solid pulmonary nodule is a dense round spot.",
        "A pulmonary nodule with a smooth edge may hold calcium.",
        "A small round pulmonary nodule is surrounded by dark lung.",
    ),
}
SETS = {"brain": BRAIN, "retina": RETINA, "blood": BLOOD, "lung CT": LUNG_CT}
