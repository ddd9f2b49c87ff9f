"""A calm theme: system fonts, warm neutrals, one accent; every colour in a light and a dark form."""

import gradio as gr

FONT = ["ui-sans-serif", "system-ui", "-apple-system", "Segoe UI", "Noto Sans", "sans-serif"]
MONO = ["ui-monospace", "SFMono-Regular", "Menlo", "Consolas", "DejaVu Sans Mono", "monospace"]


def theme() -> gr.themes.Base:
    """No font is fetched: the names are those of the system."""
    base = gr.themes.Base(
        primary_hue=gr.themes.colors.teal,
        neutral_hue=gr.themes.colors.stone,
        radius_size=gr.themes.sizes.radius_md,
        spacing_size=gr.themes.sizes.spacing_md,
        text_size=gr.themes.sizes.text_md,
        font=FONT,
        font_mono=MONO,
    )
    return base.set(
        body_background_fill="#faf9f7",
        body_background_fill_dark="#161513",
        body_text_color="#292524",
        body_text_color_dark="#e7e5e4",
        body_text_color_subdued="#6b645e",
        body_text_color_subdued_dark="#a8a29e",
        background_fill_primary="#ffffff",
        background_fill_primary_dark="#1d1c1a",
        background_fill_secondary="#f5f3f0",
        background_fill_secondary_dark="#242220",
        color_accent="*primary_700",
        border_color_primary="#e5e1dc",
        border_color_primary_dark="#34312e",
        block_background_fill="transparent",
        block_background_fill_dark="transparent",
        block_padding="0",
        block_border_width="0px",
        block_shadow="none",
        block_label_background_fill="transparent",
        block_label_background_fill_dark="transparent",
        block_title_text_weight="500",
        block_title_text_color="*body_text_color_subdued",
        input_background_fill="#ffffff",
        input_background_fill_dark="#242220",
        input_border_width="1px",
        input_border_color="#d6d1cb",
        input_border_color_dark="#3f3b37",
        input_border_color_focus="*primary_600",
        input_border_color_focus_dark="*primary_400",
        input_shadow_focus="0 0 0 3px color-mix(in srgb, *primary_500 25%, transparent)",
        button_primary_background_fill="*primary_700",
        button_primary_background_fill_hover="*primary_800",
        button_primary_background_fill_dark="*primary_600",
        button_primary_text_color="#ffffff",
        button_secondary_background_fill="#ffffff",
        button_secondary_background_fill_hover="#f0edea",
        button_secondary_background_fill_dark="#2a2825",
        button_secondary_background_fill_hover_dark="#36332f",
        button_secondary_border_color="#d6d1cb",
        button_secondary_border_color_dark="#45413c",
        button_border_width="1px",
        button_transition="background-color 120ms",
        table_border_color="#e5e1dc",
        table_border_color_dark="#34312e",
        link_text_color="*primary_700",
        link_text_color_dark="*primary_300",
    )
