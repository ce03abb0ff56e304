"""The default of `skbandit.prune` by the records, and methods that were added later: rule, networks, page."""

import re
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import evidence_records as synthetic

from benchmarks.deep.pairs import PAIRS
from benchmarks.evidence import design
from benchmarks.evidence.report import cells, defaults, later, ranks, reading
from benchmarks.evidence.report.cells import Cell

MEAN, RMS, CURVATURE = design.DEFAULTS


def evidence(effects, **options):
    given = {"methods": (*design.DEFAULTS, "random"), "ratios": (0.5, 0.9), "stages": ("raw", "tuned")} | options
    records = synthetic.outcomes("deep", "classification", synthetic.pair_names(10), effects, **given)
    return reading.evidence_of(list(records))


@pytest.mark.parametrize(
    ("effects", "chosen"),
    [
        ({}, MEAN),
        ({RMS: 0.05}, RMS),
        ({RMS: 0.05, CURVATURE: 0.1}, CURVATURE),
        ({RMS: -0.05, CURVATURE: -0.05}, MEAN),
    ],
)
def test_the_default_is_the_summary_that_is_better_than_the_mean(effects, chosen):
    found = defaults.found(evidence(effects))
    assert [(one.cell.ratio, one.cell.stage) for one in found] == list(design.DEFAULT_CELLS)
    assert defaults.choice(found) == chosen


def test_a_summary_that_is_worse_somewhere_is_not_chosen():
    raw = evidence({RMS: 0.05}, stages=("raw",)).records
    tuned = evidence({RMS: -0.05}, stages=("tuned",)).records
    both = reading.evidence_of([*raw, *tuned])
    assert defaults.choice(defaults.found(both)) == MEAN


def test_pairs_that_summaries_were_formed_on_are_left_out(monkeypatch):
    monkeypatch.setattr(defaults, "LEFT_OUT", ("mlp-set00", "cnn-set00"))
    assert {len(one.means) for one in defaults.found(evidence({}))} == {8}


def test_seeds_that_a_summary_lacks_count_for_none():
    records = evidence({RMS: 0.05}).records
    part = [record for record in records if record.get("method") != RMS or record["seed"] > 0]
    found = defaults.found(reading.evidence_of(part))
    assert {(len(one.means), one.n_repeats) for one in found} == {(10, 20)}
    assert all(one.means.notna().all()["random"] for one in found)
    assert defaults.choice(found) == RMS


def test_pairs_that_either_summary_was_formed_on_are_known():
    assert {"textcnn-subj", "cnn-usps", "mlp-mnist", "textcnn-trec"} < set(defaults.LEFT_OUT)
    assert {PAIRS[name].number for name in defaults.LEFT_OUT} >= set(design.SEEN_PAIRS)
    assert len(defaults.LEFT_OUT) == len(set(defaults.LEFT_OUT)) == 7


def test_p_is_corrected_over_all_cells():
    found = defaults.found(evidence({RMS: 0.002}, noise=0.004))
    p = [two.p for one in found for two in one.comparisons]
    holm = [two.holm for one in found for two in one.comparisons]
    assert len(p) == 8
    assert min(holm) == pytest.approx(min(1, 8 * min(p)))


def test_the_page_shows_means_ranks_and_the_choice():
    text = defaults.section(evidence({CURVATURE: 0.1}))
    assert "By this rule the default is **`ucb1@4_curvature`**." in text
    assert text.count(f"| {CURVATURE} |") == len(design.DEFAULT_CELLS)
    assert "| random |" in text
    assert "nan" not in text
    part = defaults.section(evidence({CURVATURE: 0.1}, stages=("raw",)))
    assert "as far as there are records: 2 of 4 cells (10 of 10 pairs; 10 of 10 pairs), 3.0 of 3 seeds" in part
    assert defaults.section(evidence({}, methods=("random",))) == ""


def as_prune(effects, stages=("raw", "tuned"), by_layer=None):
    """Records of the settings of `skbandit.prune`, beside those of the same share of each group."""
    by_layer = evidence({CURVATURE: 0.1} if by_layer is None else by_layer).records
    own = {"methods": design.AS_PRUNE, "controls": False, "stages": stages}
    found = [record for record in evidence(effects, **own).records if record["kind"] == "outcome"]
    return reading.evidence_of([*by_layer, *(record | {"scope": "global"} for record in found)])


def test_what_is_chosen_has_to_hold_in_the_settings_of_prune():
    both = as_prune({})
    assert [(one.cell.ratio, one.cell.stage) for one in defaults.found_as_prune(both)] == list(design.DEFAULT_CELLS)
    text = defaults.section(both)
    assert "`ucb1@prune_curvature` is worse than the mean in none of 4 cells: **the choice is confirmed**." in text
    worse = defaults.section(as_prune({"ucb1@prune_curvature": -0.1}))
    assert "`ucb1@prune_curvature` is worse than the mean at 50%, raw and at 90%, raw" in worse
    assert "**the default is not changed**" in worse
    assert defaults.choice(defaults.found(both)) == CURVATURE  # the two scopes do not mix
    part = defaults.section(as_prune({}, stages=("raw",)))
    assert "not yet confirmed. Records: 2 of 4 cells (10 of 10 pairs; 10 of 10 pairs), 3.0 of 3 seeds." in part
    alone = defaults.section(evidence({CURVATURE: 0.1}))
    assert "ucb1@prune" not in alone
    assert "Before, it has to hold in the settings of `skbandit.prune`, of which there are no records." in alone
    assert "there is nothing to confirm" in defaults.section(as_prune({}, by_layer={}))
    assert ranks.ranked(reading.published(both), Cell("deep", 0.5, "raw", "accuracy"), "global") is None


def test_methods_that_were_added_later_are_compared_on_their_own_networks():
    """Seeds that they lack would make means of other networks, and would empty the tables of ranks."""
    about = {"ratios": (0.5,), "stages": ("raw",), "controls": False, "noise": 0.0}
    records = evidence({}, methods=("uniform", "random"), n_seeds=2, **about).records
    for record in records:
        if record["seed"] == 1 and record.get("method") == "uniform":
            record["scores"]["report"]["accuracy"] = 0.0
    own = evidence({}, methods=("uniform_curvature",), n_seeds=1, **about).records
    found = reading.evidence_of([*records, *(record for record in own if record["kind"] == "outcome")])
    text = later.section(found)
    means = dict(re.findall(r"^\| \**(\w+)\** \| [\d.]+ \| ([\d.]+) \|$", text, flags=re.MULTILINE))
    assert float(means["uniform"]) == pytest.approx(float(means["random"]), abs=0.002)
    ranked = ranks.ranked(reading.published(found), Cell("deep", 0.5, "raw", "accuracy"))
    assert set(ranked.ranks) == {"uniform", "random", "unpruned"}
    assert ranked.means["uniform"] == pytest.approx(ranked.means["random"] / 2, abs=0.01)


def test_seeds_that_many_methods_lack_are_named_once():
    lacks = {"cnn-a": "; ".join(f"method{i}: seed 0" for i in range(5)), "cnn-b": "ucb1: seed 0", "cnn-c": "ucb1"}
    text = cells.what_is_missing(lacks, 9)
    assert text == "3 of 9 pairs left out: cnn-a (seed 0 of 5 methods); cnn-b (ucb1: seed 0); cnn-c (ucb1)."
    some = {"cnn-a": "; ".join(f"method{i}: seed {i}" for i in range(5))}
    assert "method4: seed 4" in cells.what_is_missing(some, 9)
