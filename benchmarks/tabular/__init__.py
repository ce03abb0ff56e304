"""Our estimators against the models that are commonly used on tables: ``python -m benchmarks.tabular --help``.

* `models`: what is compared, and what each model is given;
* `protocol`: folds, scores, times, and the file of records;
* `options`: what their commands have in common;
* `report`: tables, statistics and figures out of records;
* `ablation`: variants of our own estimators against one another.
"""
