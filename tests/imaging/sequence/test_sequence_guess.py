"""What headers, names and values of real scanners say about the kind of scan."""

import numpy as np
import pytest

from hemaview.imaging import Geometry, Modality, Volume
from hemaview.imaging.sequence import (
    Sequence,
    SequenceGuess,
    guess_from_name,
    guess_sequence,
    sequence_in_name,
)

NAMES = {
    "TCGA-DU-7294_t1_bet": Sequence.T1,
    "TCGA-DU-7294_t1c_bet": Sequence.T1C,
    "TCGA-DU-7294_fla_bet": Sequence.FLAIR,
    "t2f": Sequence.FLAIR,
    "t1cor": Sequence.T1,
    "T1 FLAIR SAG": Sequence.T1,
    "SAG T1 POST": Sequence.T1C,
    "Axial T1 +C": Sequence.T1C,
    "t1_mpr_sag_km": Sequence.T1C,
    "T2w_FLAIR": Sequence.FLAIR,
    "t2_spc_da-fl_sag": Sequence.FLAIR,
    "t2_tirm_tra_dark-fluid": Sequence.FLAIR,
    "t2_tse_tra": Sequence.T2,
    "*tse2d1_15": Sequence.T2,
    "*tfl3d1_16ns": Sequence.T1,
    "t2_fl2d_tra_hemo": Sequence.T2STAR,
    "AX T2* GRE": Sequence.T2STAR,
    "gre_field_mapping": Sequence.MAP,
    "SWI_Images": Sequence.SWI,
    "mIP_Images(SW)": Sequence.SWI,
    "Pha_Images": Sequence.PHASE,
    "ep2d_diff_3scan_trace": Sequence.DWI,
    "ep2d_diff_ADC": Sequence.ADC,
    "3D TOF": Sequence.ANGIO,
    "PDW_TSE": Sequence.PD,
    "phe_sich_0001_ct_grey8": Sequence.CT,
    "CTA Head": Sequence.CT_CONTRAST,
    "ct_head_contrast": Sequence.CT_CONTRAST,
    "brain1_image": None,
    "haemorrhage": None,
    "patient1": None,
    "spect_actress": None,
}

SE, GR, IR, EP = "SE", "GR", "SE/IR", "EP/SE"
HEADERS = [
    ({"sequence": SE, "repetition_time_ms": "500", "echo_time_ms": "14"}, Sequence.T1),
    ({"sequence": SE, "repetition_time_ms": "500", "echo_time_ms": "14", "contrast_agent": "yes"}, Sequence.T1C),
    ({"sequence": SE, "repetition_time_ms": "4200", "echo_time_ms": "98"}, Sequence.T2),
    ({"sequence": SE, "repetition_time_ms": "2500", "echo_time_ms": "15"}, Sequence.PD),
    (
        {"sequence": IR, "repetition_time_ms": "9000", "echo_time_ms": "120", "inversion_time_ms": "2500"},
        Sequence.FLAIR,
    ),
    (
        {"sequence": "GR/IR", "repetition_time_ms": "2300", "echo_time_ms": "2.98", "inversion_time_ms": "900"},
        Sequence.T1,
    ),
    ({"sequence": GR, "repetition_time_ms": "650", "echo_time_ms": "20", "acquisition": "2D"}, Sequence.T2STAR),
    ({"sequence": GR, "repetition_time_ms": "28", "echo_time_ms": "20", "acquisition": "3D"}, Sequence.SWI),
    ({"sequence": "EP", "repetition_time_ms": "3000", "echo_time_ms": "30"}, Sequence.T2STAR),
    ({"sequence": EP, "b_value": "1000"}, Sequence.DWI),
    ({"sequence": EP, "repetition_time_ms": "6000", "echo_time_ms": "90", "b_value": "0"}, Sequence.DWI),
    ({"image_type": "DERIVED/PRIMARY/DIFFUSION/ADC"}, Sequence.ADC),
    ({"image_type": "ORIGINAL/PRIMARY/P/ND", "named": "SWI"}, Sequence.PHASE),
    ({"image_type": "DERIVED/PRIMARY/SW_M_FFE/M/SWI"}, Sequence.SWI),
    ({"image_type": "DERIVED/PRIMARY/SW_M_FFE/M"}, Sequence.SWI),
    ({"image_type": "DERIVED/PRIMARY/SW_P_FFE/P", "component": "PHASE"}, Sequence.PHASE),
    ({"component": "PHASE", "contrast": "T2_STAR"}, Sequence.PHASE),
    ({"image_type": "ORIGINAL/PRIMARY/B0 MAP/B0/FFE"}, Sequence.MAP),
    ({"contrast": "T2", "repetition_time_ms": "9000", "echo_time_ms": "120", "inversion_time_ms": "2500"}, "FLAIR"),
    ({"contrast": "T2", "named": "T1"}, Sequence.T2),
    ({"named": "SWI", "sequence": GR, "repetition_time_ms": "650", "echo_time_ms": "20"}, Sequence.SWI),
    ({"repetition_time_ms": "0", "echo_time_ms": "0"}, Sequence.MR),
    ({"repetition_time_ms": "soon", "echo_time_ms": ""}, Sequence.MR),
    ({"named": "CT"}, Sequence.MR),
    ({}, Sequence.MR),
]


@pytest.mark.parametrize(("name", "expected"), NAMES.items())
def test_a_name_gives_the_kind_away(name, expected):
    assert sequence_in_name(name) == expected


@pytest.mark.parametrize(("facts", "expected"), HEADERS)
def test_the_header_of_an_mr_scan_gives_the_kind_away(facts, expected):
    guess = guess_sequence("MR", facts)
    assert guess.sequence == expected
    assert guess.why


def test_only_coded_fields_settle_the_kind():
    assert guess_sequence("MR", {"image_type": "DERIVED/PRIMARY/DIFFUSION/ADC"}).certain
    assert guess_sequence("CT").certain
    assert not guess_sequence("MR", {"named": "FLAIR"}).certain
    assert not guess_sequence("MR", {"sequence": "SE", "repetition_time_ms": "500", "echo_time_ms": "14"}).certain
    assert not guess_from_name("flair", Modality.MR).certain


def test_a_ct_is_a_ct_whatever_its_name_says():
    assert guess_sequence("CT", {"named": "T1"}).sequence is Sequence.CT
    assert guess_sequence("CT", {"contrast_agent": "yes"}).sequence is Sequence.CT_CONTRAST
    assert guess_sequence("CT", {"named": "CT with contrast"}).sequence is Sequence.CT_CONTRAST


def test_another_kind_of_machine_is_said():
    guess = guess_sequence("PT")
    assert guess.sequence is Sequence.UNKNOWN
    assert "PT" in guess.why


def test_values_that_are_hounsfield_units_overrule_a_file_name():
    assert guess_from_name("flair", Modality.CT).sequence is Sequence.CT
    assert guess_from_name("head_ct", Modality.UNKNOWN).sequence is Sequence.CT
    assert guess_from_name("head", Modality.MR).sequence is Sequence.MR
    assert guess_from_name("head", Modality.UNKNOWN).sequence is Sequence.UNKNOWN


def _volume(modality, hounsfield=None):
    return Volume(
        np.arange(8, dtype=np.int16).reshape(2, 2, 2), Geometry((2, 2, 2), (1, 1, 1)), modality, hounsfield=hounsfield
    )


def test_a_scan_that_says_no_more_than_its_modality_has_that_kind():
    assert _volume(Modality.CT).sequence.sequence is Sequence.CT
    assert _volume(Modality.UNKNOWN).sequence.sequence is Sequence.UNKNOWN


def test_grey_levels_do_not_become_hounsfield_units_by_being_called_ct():
    for volume in (_volume(Modality.UNKNOWN), _volume(Modality.MR), _volume(Modality.UNKNOWN, hounsfield=False)):
        called_ct = volume.taken_for(SequenceGuess.chosen(Sequence.CT))
        assert called_ct.modality is Modality.CT
        assert not called_ct.is_hounsfield


def test_what_is_taken_for_something_else_can_be_taken_back():
    ct = _volume(Modality.CT)
    there = ct.taken_for(SequenceGuess.chosen(Sequence.FLAIR))
    assert there.modality is Modality.MR
    assert not there.is_hounsfield
    back = there.taken_for(ct.sequence)
    assert back.is_hounsfield
    assert back.sequence == ct.sequence
    assert back.array is ct.array
