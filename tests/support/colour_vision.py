"""How different colours look, to people of usual and of dichromatic vision."""

import numpy as np

# Machado, Oliveira & Fernandes 2009, "A Physiologically-based Model for Simulation of Color Vision Deficiency",
# table 1, severity 1; of linear sRGB
SIMULATED = {
    "usual": np.eye(3),
    "protanopia": np.array(
        [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]]
    ),
    "deuteranopia": np.array(
        [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]]
    ),
    "tritanopia": np.array(
        [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]]
    ),
}
TO_XYZ = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])  # sRGB, D65


def coded(colour: str) -> np.ndarray:
    """Return the uint8 sRGB (3,) of ``#rrggbb``."""
    return np.array([int(colour[at : at + 2], 16) for at in (1, 3, 5)], np.uint8)


def linear(colours: np.ndarray) -> np.ndarray:
    """Return uint8 sRGB colours as linear RGB in [0, 1]."""
    levels = np.asarray(colours, np.float64) / 255
    return np.where(levels <= 0.04045, levels / 12.92, ((levels + 0.055) / 1.055) ** 2.4)


def lab(colours: np.ndarray, vision: str = "usual") -> np.ndarray:
    """Return uint8 sRGB colours (..., 3) as CIE 1976 L*a*b* of what somebody of that vision sees."""
    seen = np.clip(linear(colours) @ SIMULATED[vision].T, 0, 1)
    ratio = (seen @ TO_XYZ.T) / TO_XYZ.sum(axis=1)
    x, y, z = np.moveaxis(np.where(ratio > (6 / 29) ** 3, np.cbrt(ratio), ratio / (3 * (6 / 29) ** 2) + 4 / 29), -1, 0)
    return np.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], axis=-1)


def difference(one: np.ndarray, other: np.ndarray, vision: str = "usual") -> np.ndarray:
    """Return the Delta E (CIE 1976) of colours, (...); some 2.3 is just noticeable."""
    return np.linalg.norm(lab(one, vision) - lab(other, vision), axis=-1)


def contrast(one: np.ndarray, other: np.ndarray) -> float:
    """Return WCAG's ratio of the luminances of two colours, uint8 (3,): 1 to 21."""
    darker, lighter = sorted(float(TO_XYZ[1] @ linear(colour)) + 0.05 for colour in (one, other))
    return lighter / darker
