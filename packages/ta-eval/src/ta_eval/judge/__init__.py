"""A model as judge: `pairs` and `points` run it, `ladder` gets answers, `audit` and `calibrate` doubt them."""
