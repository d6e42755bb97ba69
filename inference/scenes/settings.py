"""What can go wrong under water, as named settings: three levels, and one setting for each single trouble.

A range is ``(low, high)`` and drawn evenly for each scene; a share is the probability that a scene has it. Lengths are
shares of the frame's side, so that a scene looks the same at every picture size.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

Range = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Setting:
    """The ranges that a scene is drawn from.

    Attributes:
        name: as reports show it.
        fill: opening's side as a share of the photo's short side.
        turn_deg: largest turn of the frame.
        tilt: largest displacement of a corner by perspective.
        sag: how far strings hang out of their place.
        missing: number of strings that are gone.
        cuts: number of strings that are cut and have a gap.
        marked: share of scenes whose frame has coloured plates at its corners; the others have a plain frame.
        dark: share of plain frames that are dark.
        hidden_markers: number of corners that growth covers.
        growth: how much grows on bars and strings, 0 to 1.
        turbidity: 0 clear, 1 a milky soup.
        particles: number of specks of backscatter.
        vignette: loss of light in the photo's corners.
        caustics: strength of the light's net from the waves.
        k1: first radial lens term, in half diagonals.
        blur: sigma of the focus.
        motion: length of the way during the exposure.
        noise: sigma of the sensor noise, 0 to 255.
        tape: share of scenes with a survey tape across.
        fish: number of fish.
        frames: number of frames, 0 to 2.
        cut_off: whether the photo's border cuts the frame off.
    """

    name: str
    fill: Range = (0.76, 0.82)
    turn_deg: float = 2.5
    tilt: float = 0.01
    sag: Range = (0.0, 0.0015)
    missing: tuple[int, int] = (0, 0)
    cuts: tuple[int, int] = (0, 0)
    marked: float = 1.0
    dark: float = 0.6
    hidden_markers: tuple[int, int] = (0, 0)
    growth: Range = (0.0, 0.0)
    turbidity: Range = (0.02, 0.12)
    particles: tuple[int, int] = (0, 10)
    vignette: Range = (0.05, 0.15)
    caustics: Range = (0.0, 0.03)
    k1: Range = (0.0, 0.0)
    blur: Range = (0.0003, 0.0005)
    motion: Range = (0.0, 0.0)
    noise: Range = (1.0, 2.5)
    tape: float = 0.0
    fish: tuple[int, int] = (0, 0)
    frames: int = 1
    cut_off: bool = False


EASY = Setting("easy")
USUAL = Setting(
    "usual",
    fill=(0.72, 0.84),
    turn_deg=5,
    tilt=0.02,
    sag=(0.0005, 0.004),
    missing=(0, 1),
    cuts=(0, 1),
    marked=0.7,
    hidden_markers=(0, 1),
    growth=(0.0, 0.25),
    turbidity=(0.05, 0.4),
    particles=(0, 60),
    vignette=(0.08, 0.3),
    caustics=(0.0, 0.12),
    k1=(-0.04, 0.01),
    blur=(0.0003, 0.0009),
    motion=(0.0, 0.0015),
    noise=(1.0, 4.0),
    tape=0.25,
    fish=(0, 1),
)
HARD = Setting(
    "hard",
    fill=(0.62, 0.88),
    turn_deg=11,
    tilt=0.045,
    sag=(0.002, 0.009),
    missing=(0, 2),
    cuts=(0, 3),
    marked=0.5,
    hidden_markers=(0, 2),
    growth=(0.1, 0.7),
    turbidity=(0.25, 0.85),
    particles=(20, 260),
    vignette=(0.15, 0.5),
    caustics=(0.0, 0.22),
    k1=(-0.10, 0.03),
    blur=(0.0004, 0.0016),
    motion=(0.0, 0.005),
    noise=(2.0, 7.0),
    tape=0.5,
    fish=(0, 4),
)

SWITCHES: dict[str, Setting] = {
    setting.name: setting
    for setting in (
        replace(EASY, name="pose", fill=(0.6, 0.88), turn_deg=12, tilt=0.05),
        replace(EASY, name="sag", sag=(0.005, 0.010)),
        replace(EASY, name="breaks", missing=(1, 2), cuts=(1, 4)),
        replace(EASY, name="hidden-markers", hidden_markers=(1, 3), growth=(0.2, 0.6)),
        replace(EASY, name="plain-frame", marked=0.0, dark=1.0),
        replace(EASY, name="turbid", turbidity=(0.55, 0.95), particles=(80, 260)),
        replace(EASY, name="vignette", vignette=(0.4, 0.65)),
        replace(EASY, name="caustics", caustics=(0.15, 0.28)),
        replace(EASY, name="lens", k1=(-0.11, -0.05)),
        replace(EASY, name="motion", motion=(0.003, 0.007)),
        replace(EASY, name="noise", noise=(6.0, 11.0), blur=(0.0009, 0.0016)),
        replace(EASY, name="tape", tape=1.0),
        replace(EASY, name="fish", fish=(2, 5)),
        replace(EASY, name="cut-off", cut_off=True),
        replace(EASY, name="two-frames", frames=2),
        replace(EASY, name="no-frame", frames=0),
    )
}
"""One trouble each on top of ``easy``, so that figures can be told by condition."""

SETTINGS: dict[str, Setting] = {"easy": EASY, "usual": USUAL, "hard": HARD, **SWITCHES}


def setting(name: str) -> Setting:
    """The setting of that name.

    Raises:
        ValueError: there is none.
    """
    if name not in SETTINGS:
        raise ValueError(f"no setting {name!r}: use one of {', '.join(SETTINGS)}")
    return SETTINGS[name]
