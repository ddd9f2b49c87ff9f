"""A scatter plot as SVG, without a plotting library."""

from collections.abc import Sequence
from html import escape

WIDTH, HEIGHT, LEFT, BOTTOM, TOP = 640, 400, 70, 50, 40


def scatter(points: Sequence[tuple[float, float, str]], *, x: str, y: str, title: str) -> str:
    """Labelled points over two linear axes that begin at zero."""
    most_x = max(point[0] for point in points) * 1.15 or 1.0
    most_y = max(point[1] for point in points) * 1.15 or 1.0

    def place(across: float, up: float) -> tuple[float, float]:
        return (
            LEFT + across / most_x * (WIDTH - LEFT - 20),
            HEIGHT - BOTTOM - up / most_y * (HEIGHT - BOTTOM - TOP),
        )

    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif" '
        f'font-size="13"><rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>'
        f'<text x="{WIDTH / 2}" y="22" text-anchor="middle" font-size="15">{escape(title)}</text>'
    ]
    for step in range(5):
        right, _ = place(most_x * step / 4, 0)
        _, high = place(0, most_y * step / 4)
        parts.append(
            f'<path d="M{right:.1f} {TOP}V{HEIGHT - BOTTOM}M{LEFT} {high:.1f}H{WIDTH - 20}" stroke="#ddd"/>'
            f'<text x="{right:.1f}" y="{HEIGHT - 32}" text-anchor="middle">{most_x * step / 4:.0f}</text>'
            f'<text x="{LEFT - 6}" y="{high + 4:.1f}" text-anchor="end">{most_y * step / 4:.3f}</text>'
        )
    parts.append(f'<text x="{WIDTH / 2}" y="{HEIGHT - 10}" text-anchor="middle">{escape(x)}</text>')
    parts.append(
        f'<text text-anchor="middle" transform="translate(16 {HEIGHT / 2}) rotate(-90)">{escape(y)}</text>'
    )
    for across, up, label in points:
        right, high = place(across, up)
        parts.append(
            f'<circle cx="{right:.1f}" cy="{high:.1f}" r="5" fill="#1f6feb"/>'
            f'<text x="{right + 8:.1f}" y="{high - 6:.1f}">{escape(label)}</text>'
        )
    return "".join([*parts, "</svg>\n"])
