"""Cover: how often 95 % intervals of a site's mean hold the truth, over simulated surveys.

Each survey draws 4 to 24 quadrats of a site whose true mean is known (skewed, some without the taxon), and measures
each with the three named errors (labels, corners, inpainting). Reference: the percentile bootstrap over quadrats.
"""

from __future__ import annotations

import numpy as np

from analytics.cover import mean_interval
from analytics.cover.uncertainty import inpainted_sd

SURVEYS = 4000
RESAMPLES = 200
SITES = ((2.0, 8.0, 1.0), (0.8, 15.2, 1.0), (1.5, 10.0, 0.6), (4.0, 6.0, 0.9))
"""Beta a, b of the cover of a quadrat that has the taxon, and the share of quadrats that have it."""


def rows() -> list[dict[str, object]]:
    """One row."""
    rng = np.random.default_rng(20261121)
    held = bootstrap = 0
    for number in range(SURVEYS):
        a, b, present = SITES[number % len(SITES)]
        truth = present * a / (a + b)
        count = int(rng.integers(4, 25))
        shares = rng.beta(a, b, count) * (rng.random(count) < present)
        inpainted = np.array([inpainted_sd(s, 0.1) for s in shares])
        noise = rng.normal(0, 1, (3, count)) * np.stack([0.05 * shares, np.full(count, 5e-4) * (shares > 0), inpainted])
        measured = np.clip(shares + noise.sum(axis=0), 0, 1)
        low, high = mean_interval(measured)
        held += low <= truth <= high
        means = measured[rng.integers(0, count, (RESAMPLES, count))].mean(axis=1)
        low, high = np.percentile(means, [2.5, 97.5])
        bootstrap += low <= truth <= high
    return [
        {
            "name": "cover.interval_coverage",
            "value": held / SURVEYS,
            "unit": "share of surveys whose 95 % interval holds the truth",
            "reference": "percentile bootstrap over the same quadrats",
            "reference_value": round(float(bootstrap / SURVEYS), 4),
            "note": f"{SURVEYS} simulated surveys of 4 to 24 quadrats, four kinds of site, three measuring errors",
        }
    ]
