"""Rules on single commands, grouped by what they would harm. A rule sees resolved words, never the raw text."""

from ta_safety.detectors.shell.rules.disks import disk_findings
from ta_safety.detectors.shell.rules.files import file_findings
from ta_safety.detectors.shell.rules.network import network_findings
from ta_safety.detectors.shell.rules.system import system_findings

RULES = (file_findings, disk_findings, network_findings, system_findings)

__all__ = ["RULES"]
