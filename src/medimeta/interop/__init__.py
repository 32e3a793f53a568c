"""Work with the released world: folders of release 1.0, scripts for ``medimeta`` 0.0.6, models of torchcross 0.0.6."""
