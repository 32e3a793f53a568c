"""Episodes a second of a linear probe made of released pieces. Arguments: ROOT features|frozen EPISODES.

With ``features`` those of an episode are computed once; with ``frozen`` the classifier holds the backbone, and computes
them in each step.
"""

from __future__ import annotations

import sys
import time
import warnings

import torch
from torch import nn
from torchcross.data.metadataset import FewShotMetaDataset
from torchcross.models.lightning import SimpleClassifier
from torchcross.utils.collate_fn import stack
from torchvision.models import resnet18

from benchmarks.pace import QUERIES, SHOTS, tell
from benchmarks.released.batches import NORMALIZE
from medimeta import MedIMeta

FEATURES, STEPS = 512, 50


def main(root: str, kind: str, episodes: str) -> None:
    """Measure and tell."""
    torch.manual_seed(0)
    source = MedIMeta(root, "pbc", "cell class", transform=NORMALIZE)
    backbone = resnet18(weights=None).requires_grad_(False).eval()
    backbone.fc = nn.Identity()
    drawn = FewShotMetaDataset(
        source,
        collate_fn=stack,
        n_support_samples_per_class=SHOTS,
        n_query_samples_per_class=QUERIES,
        filter_classes_min_samples=SHOTS + QUERIES,
        length=int(episodes),
    )
    started = time.perf_counter()
    for episode in drawn:
        (support, support_labels), (query, _) = episode.support, episode.query
        model = SimpleClassifier(
            backbone if kind == "frozen" else nn.Identity(),
            FEATURES,
            episode.description,
            torch.optim.Adam,
            expand_input_channels=False,
        )
        if kind == "features":
            with torch.inference_mode():
                support, query = backbone(support), backbone(query)
            support, query = support.clone(), query.clone()
        optimizer = torch.optim.Adam(model.head.parameters())
        for _ in range(STEPS):
            loss = model.do_step((support, support_labels), "train")
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        with torch.inference_mode():
            model(query)
    seconds = time.perf_counter() - started
    tell(
        int(episodes) / seconds,
        episode=f"{len(support)} + {len(query)} images",
        precision="32-true",
        threads=torch.get_num_threads(),
    )


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    main(*sys.argv[1:])
