"""Learned metrics load their published layouts from local folders, and report what is wrong."""

from pathlib import Path

import numpy as np
import pytest
import torch
from support.scorer_weights import write_chexbert, write_radgraph, write_ratescore

from echo_node.errors import CheckpointError, ConfigError
from training.evaluation.metrics.chexbert import OBSERVATIONS, CheXbert, _f1
from training.evaluation.metrics.radgraph import RadGraph, ReportGraph, graph_f1
from training.evaluation.metrics.ratescore import Entities, RaTEScore, pair_score, spans
from training.evaluation.metrics.scorers import load_scorers

DRAFTS = ["Findings: The heart is normal. No effusion.", "Findings: The lungs are clear."]
REFERENCES = ["Findings: The heart is enlarged. Small left effusion.", "Findings: No pneumothorax."]


class TestCheXbert:
    def test_both_files_of_the_same_tensors_give_the_same_figures(self, tmp_path: Path) -> None:
        safe = CheXbert.load(write_chexbert(tmp_path / "safe"))
        pickled = CheXbert.load(write_chexbert(tmp_path / "pickled", pickled=True))
        assert safe(DRAFTS, REFERENCES) == pickled(DRAFTS, REFERENCES)

    def test_the_reference_itself_is_perfect(self, tmp_path: Path) -> None:
        figures = CheXbert.load(write_chexbert(tmp_path))(REFERENCES, REFERENCES)
        assert figures["semb_score"] == pytest.approx(1)
        assert figures["chexbert_f1_micro_14"] == 1
        assert set(figures) == {
            "chexbert_f1_micro_14", "chexbert_f1_macro_14", "chexbert_f1_micro_5", "chexbert_f1_macro_5",
            "semb_score",
        }  # fmt: skip

    def test_a_batch_reads_as_single_texts_do(self, tmp_path: Path) -> None:
        labeller = CheXbert.load(write_chexbert(tmp_path))
        together, embeddings = labeller.read(DRAFTS)
        for text, flags, embedding in zip(DRAFTS, together, embeddings, strict=True):
            alone, of_alone = labeller.read([text])
            assert (alone[0] == flags).all()
            torch.testing.assert_close(of_alone[0], embedding, atol=1e-5, rtol=1e-5)

    def test_positive_and_uncertain_count_and_negative_does_not(self, tmp_path: Path) -> None:
        labeller = CheXbert.load(write_chexbert(tmp_path))
        for answer, present in ((0, False), (1, True), (2, False), (3, True)):
            for head in labeller.linear_heads[:-1]:
                head.bias.data = 1e3 * torch.eye(4)[answer]
            assert (labeller.read(DRAFTS)[0][:, :-1] == present).all()

    def test_macro_counts_what_nobody_names_as_0(self) -> None:
        flags = np.zeros((2, len(OBSERVATIONS)), dtype=bool)
        flags[:, 0] = True
        micro, macro = _f1(flags, flags)
        assert micro == 1.0
        assert macro == pytest.approx(1 / 14)

    def test_a_missing_folder_file_or_tensor_is_named(self, tmp_path: Path) -> None:
        with pytest.raises(CheckpointError, match="chexbert: there is no folder"):
            CheXbert.load(tmp_path / "none")
        folder = write_chexbert(tmp_path / "here")
        weights = folder / "model.safetensors"
        whole = weights.read_bytes()
        weights.write_bytes(whole[:1000])
        with pytest.raises(CheckpointError, match="cannot be loaded as tensors"):
            CheXbert.load(folder)
        weights.unlink()
        with pytest.raises(CheckpointError, match=r"has no model\.safetensors or chexbert\.pth"):
            CheXbert.load(folder)

    def test_a_pickle_with_more_than_tensors_is_refused(self, tmp_path: Path) -> None:
        folder = write_chexbert(tmp_path, pickled=True)
        torch.save({"model_state_dict": {"a": Path("x")}}, folder / "chexbert.pth")
        with pytest.raises(CheckpointError, match="cannot be loaded as tensors"):
            CheXbert.load(folder)


class TestRaTEScore:
    def test_a_folder_is_loaded_and_scores_both_ways(self, tmp_path: Path) -> None:
        figures = RaTEScore.load(write_ratescore(tmp_path))(DRAFTS, REFERENCES)
        assert set(figures) == {"ratescore", "ratescore_positive_only"}
        assert all(-1 <= value <= 1 for value in figures.values())

    def test_a_model_that_is_missing_is_named(self, tmp_path: Path) -> None:
        with pytest.raises(CheckpointError, match=r"has no RaTE-NER-Deberta, no BioLORD-2023-C"):
            RaTEScore.load(tmp_path)
        write_ratescore(tmp_path)
        (tmp_path / "BioLORD-2023-C" / "model.safetensors").unlink()
        with pytest.raises(CheckpointError, match=r"BioLORD-2023-C has no model\.safetensors"):
            RaTEScore.load(tmp_path)

    def test_equal_entities_score_1_and_an_opposite_one_is_discounted(self) -> None:
        found = Entities(("DISEASE",), torch.tensor([[1.0, 0.0]]))
        denied = Entities(("NON-DISEASE",), torch.tensor([[1.0, 0.0]]))
        assert pair_score(found, found, positive_only=False) == pytest.approx(1)
        assert pair_score(found, denied, positive_only=False) == pytest.approx(0.8716553966489615)

    def test_positive_only_gives_denied_findings_no_weight(self) -> None:
        embeddings = torch.eye(2)
        draft = Entities(("DISEASE", "NON-DISEASE"), embeddings)
        other = Entities(("DISEASE", "NON-DISEASE"), torch.tensor([[1.0, 0.0], [0.8, 0.6]]))
        assert pair_score(draft, other, positive_only=True) == pytest.approx(1)
        assert pair_score(draft, other, positive_only=False) < 1

    def test_a_text_without_entities_scores_a_half(self) -> None:
        nothing = Entities((), torch.zeros(0, 1))
        assert pair_score(nothing, Entities(("DISEASE",), torch.ones(1, 1)), positive_only=False) == 0.5

    def test_tags_become_spans(self) -> None:
        tags = ["O", "B-DISEASE", "I-DISEASE", "B-ANATOMY", "O", "I-DISEASE", "B-DISEASE"]
        first = [(1, 3, "DISEASE"), (3, 4, "ANATOMY")]
        assert spans(tags, "O") == [*first, (6, 7, "DISEASE")]
        assert spans(tags, "I-DISEASE") == first  # as published: it goes on, and an I stands before it
        assert spans(["O", "B-DISEASE"], "I-DISEASE") == [(1, 2, "DISEASE")]


class TestRadGraph:
    def test_the_reference_itself_is_perfect_and_another_text_is_not(self, tmp_path: Path) -> None:
        reader = RadGraph.load(write_radgraph(tmp_path))
        assert reader.read(DRAFTS[0]).entities
        assert set(reader(DRAFTS, DRAFTS).values()) == {1.0}
        assert all(0 <= value < 1 for value in reader(DRAFTS, REFERENCES).values())

    def test_an_empty_text_has_no_entities_and_scores_0(self, tmp_path: Path) -> None:
        reader = RadGraph.load(write_radgraph(tmp_path))
        assert reader.read("") == ReportGraph((), ())
        assert set(reader([""], DRAFTS[:1]).values()) == {0.0}

    def test_the_three_levels_by_hand(self) -> None:
        stated = ReportGraph((("Effusion", "present"), ("left", "anatomy")), ((0, "located_at", 1),))
        alone = ReportGraph((("Effusion", "present"), ("left", "anatomy")), ())
        elsewhere = ReportGraph((("Effusion", "present"), ("right", "anatomy")), ((0, "located_at", 1),))
        assert graph_f1(stated, stated) == (1, 1, 1)
        assert graph_f1(alone, stated) == (1, 0.5, 0.5)
        assert graph_f1(elsewhere, stated) == (0.5, 0.5, 0)

    def test_a_wrong_folder_is_named(self, tmp_path: Path) -> None:
        folder = write_radgraph(tmp_path)
        (folder / "vocabulary" / "radgraph-xl__ner_labels.txt").unlink()
        with pytest.raises(CheckpointError, match="is not the published folder"):
            RadGraph.load(folder)


@pytest.mark.parametrize(
    ("choice", "message"),
    [
        ("bertscore=x", "there is no metric 'bertscore'; known: ratescore, chexbert, radgraph, meteor"),
        ("chexbert", "--scorer chexbert needs the folder of its weights"),
    ],
)
def test_a_wrong_choice_says_what_there_is(choice: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        load_scorers([choice])
