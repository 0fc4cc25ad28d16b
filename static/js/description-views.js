// The views of the Descriptions page, in the order of their tabs. A view is a custom element that is loaded when its tab is
// chosen; it gets `desk` (description-desk.js) before it is placed. It may have `isDirty`: something typed would be lost.
// withoutTexts: there is something to do before any texts are saved.
export const VIEWS = [
  { name: "review", title: "Review", element: "ps-description-review" },
  { name: "write", title: "Write", element: "ps-description-write", withoutTexts: true },
  { name: "evidence", title: "Evidence", element: "ps-description-evidence" },
  { name: "versions", title: "Versions", element: "ps-description-versions" },
  { name: "agreement", title: "Agreement", element: "ps-description-agreement" },
  { name: "text", title: "As text", element: "ps-description-text", withoutTexts: true },
];
