"""The parts of training: the module that Lightning fits, its journal, checkpoints, processes, and what goes wrong."""
