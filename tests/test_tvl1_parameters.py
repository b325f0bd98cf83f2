import cv2

from keras_i3d.tvl1_parameters import Parameters


def test_the_defaults_are_opencvs() -> None:
    opencvs, ours = cv2.optflow.DualTVL1OpticalFlow_create(), Parameters()
    names = {
        "tau": "Tau",
        "lambda_": "Lambda",
        "theta": "Theta",
        "scales": "ScalesNumber",
        "step": "ScaleStep",
        "warps": "WarpingsNumber",
        "epsilon": "Epsilon",
        "inner": "InnerIterations",
        "outer": "OuterIterations",
    }
    assert {name: getattr(ours, name) for name in names} == {
        name: getattr(opencvs, f"get{opencv}")() for name, opencv in names.items()
    }
    assert opencvs.getMedianFiltering() == 5
    assert opencvs.getGamma() == 0
