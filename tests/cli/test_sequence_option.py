from hemaview.commands.sequence_option import sequence_named
from hemaview.imaging.sequence import Sequence


def test_every_kind_of_scan_can_be_named():
    assert {sequence_named(kind.name) for kind in Sequence} == set(Sequence)
    assert sequence_named("T2*") is Sequence.T2STAR
    assert sequence_named("CT-Contrast") is Sequence.CT_CONTRAST
