def test_x(digits_checkpoint):
    assert digits_checkpoint.maps
