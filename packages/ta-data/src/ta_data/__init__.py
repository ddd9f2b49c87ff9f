"""From raw files to a sealed dataset: collect, check, split.

from ta_data import DataConfig, prepare
dataset = prepare(DataConfig(seed=0), Path("data/linux-cli"), Path("runs/linux-cli/dataset"))
"""

from ta_data.config import DataConfig
from ta_data.prepare import prepare

__all__ = ["DataConfig", "prepare"]
