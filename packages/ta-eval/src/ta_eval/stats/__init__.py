"""Statistics: intervals, tests, what n can show. Each function names its source.

| file | functions |
| --- | --- |
| rates | wilson, win_rate |
| paired | paired_bootstrap, paired_score, mcnemar_exact, paired_permutation, verdict |
| clusters | clustered_mean, t_quantile |
| multiple | holm |
| power | minimum_detectable_effect, sample_size |
| strength | bradley_terry, length_effect |
| risk | risk_coverage |
| agreement | cohen_kappa, fleiss_kappa, krippendorff_alpha, pairwise_agreement |
| correction | prediction_powered |
| sequential | largest_capital, confidence_sequence |

Numpy is imported inside the functions that draw samples, so that a run that only counts does not load it.
"""

from ta_eval.stats.agreement import (
    Level,
    Ratings,
    cohen_kappa,
    fleiss_kappa,
    krippendorff_alpha,
    pairwise_agreement,
)
from ta_eval.stats.clusters import MIN_CLUSTERS, clustered_mean, t_quantile
from ta_eval.stats.correction import MIN_LABELS, prediction_powered
from ta_eval.stats.multiple import holm
from ta_eval.stats.paired import (
    MIN_DISCORDANT,
    mcnemar_exact,
    paired_bootstrap,
    paired_permutation,
    paired_score,
    verdict,
)
from ta_eval.stats.power import DISCORDANT_SHARES, minimum_detectable_effect, sample_size
from ta_eval.stats.rates import wilson, win_rate
from ta_eval.stats.risk import RiskCoverage, RiskPoint, risk_coverage
from ta_eval.stats.sequential import ENOUGH, confidence_sequence, largest_capital
from ta_eval.stats.strength import Battle, LengthEffect, bradley_terry, length_effect

__all__ = [
    "DISCORDANT_SHARES",
    "ENOUGH",
    "MIN_CLUSTERS",
    "MIN_DISCORDANT",
    "MIN_LABELS",
    "Battle",
    "LengthEffect",
    "Level",
    "Ratings",
    "RiskCoverage",
    "RiskPoint",
    "bradley_terry",
    "clustered_mean",
    "cohen_kappa",
    "confidence_sequence",
    "fleiss_kappa",
    "holm",
    "krippendorff_alpha",
    "largest_capital",
    "length_effect",
    "mcnemar_exact",
    "minimum_detectable_effect",
    "paired_bootstrap",
    "paired_permutation",
    "paired_score",
    "pairwise_agreement",
    "prediction_powered",
    "risk_coverage",
    "sample_size",
    "t_quantile",
    "verdict",
    "wilson",
    "win_rate",
]
