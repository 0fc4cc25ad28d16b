"""Gradio components of ours that anybody can place in their own `gr.Blocks`; each carries its own script and style."""
