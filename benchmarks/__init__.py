"""Benchmarks: not part of the package, and they use its public names only (`tests/test_benchmarks.py` says where not).

* `common`: data sets, timing, the machine, records and tables;
* `speed`: side by side with the peers that a user would otherwise take;
* `tabular`: our estimators against the models that are commonly used on tables;
* `deep`: what is found prunable in networks of many kinds, against Torch-Pruning;
* `evidence`: which method is best, on tables and on deep networks, hypothesis by hypothesis;
* `selection`: policies and criteria against the exact answer;
* `pruning_quality`: pruned networks against the networks that they came from;
* `quick`: a little of everything;
* ``records``: the records that the pages under ``docs`` quote.
"""
