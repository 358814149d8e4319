"""Times training steps of the `tiny` preset in eager PyTorch, as a yardstick for the Rust trainer.

The same model, sizes and losses: 4+4 layers of width 128, 4 heads, FFN 512, dropout 0.1 (none in attention),
two levels, 64 pairs of 48 text and 48 video tokens (one 300-dimensional expert of 46 rows, its aggregated
token and [CLS]), no padding, Adam. `end-to-end`: InfoNCE with in-batch negatives. `queue`: momentum encoders
and four queues of 1024 keys. Inputs lie ready as tensors; nothing is logged; the optimizer is PyTorch's
fused one, the fastest it has on a CPU. Prints one JSON object a mode.

    python step_speed.py [--steps 30] [--threads 2]
"""

import argparse
import copy
import json
import statistics
import time

import torch
import torch.nn.functional as F

import hit

BATCH, LENGTH, VOCAB, DIM, EMBED = 64, 48, 10000, 300, 128
TEMPERATURE, MOMENTUM, QUEUE = 0.07, 0.999, 1024
SIZES = dict(hidden=128, heads=4, ffn=512, layers=4, taps=(1, 4), max_positions=128, dropout=0.1,
             attention_dropout=0.0)


class Step:
    """One training step at a time on random pairs."""

    def __init__(self, queue_len):
        torch.manual_seed(0)
        text = dict(vocab_size=VOCAB, **SIZES)
        video = dict(experts=[("speech", DIM)], segments=False, **SIZES)
        self.query = hit.Hit(text, video, EMBED)
        self.optimizer = torch.optim.Adam(self.query.parameters(), lr=3e-4, fused=True)
        self.key, self.pointer = None, 0
        if queue_len:
            self.key = copy.deepcopy(self.query).requires_grad_(False)
            # Rows: text feature, text semantic, video feature, video semantic.
            self.queues = F.normalize(torch.randn(4, queue_len, EMBED), dim=-1)

    @staticmethod
    def batch():
        ids = torch.randint(0, VOCAB, (BATCH, LENGTH))
        rows = LENGTH - 2
        features = torch.randn(BATCH, rows, DIM)
        times = (torch.rand(BATCH, rows) * 120).sort(1).values
        video = {"speech": (features, torch.full((BATCH,), rows), times)}
        return ids, torch.ones(BATCH, LENGTH, dtype=torch.bool), video

    @staticmethod
    def encode(model, batch):
        ids, valid, video = batch
        return model.encode_text(ids, valid) + model.encode_video(video)

    def __call__(self, batch):
        if self.key is not None:
            with torch.no_grad():
                torch._foreach_lerp_(list(self.key.parameters()), list(self.query.parameters()), 1 - MOMENTUM)
                keys = self.encode(self.key, batch)
        rows = self.encode(self.query, batch)
        loss, target = 0.0, torch.arange(BATCH)
        for level in (0, 1):
            # Text against video keys and video against text keys.
            for query, other in ((level, 2 + level), (2 + level, level)):
                if self.key is None:
                    scores = rows[query] @ rows[other].T / TEMPERATURE
                    loss = loss + F.cross_entropy(scores, target)
                    continue
                positive = (rows[query] * keys[other]).sum(1, keepdim=True)
                scores = torch.cat([positive, rows[query] @ self.queues[other].T], 1) / TEMPERATURE
                loss = loss + F.cross_entropy(scores, torch.zeros_like(target))
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        self.optimizer.step()
        if self.key is not None:
            with torch.no_grad():
                self.queues[:, self.pointer:self.pointer + BATCH] = torch.stack(keys)
                self.pointer = (self.pointer + BATCH) % self.queues.shape[1]
        return loss.item()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--steps", type=int, default=30)
    parser.add_argument("--threads", type=int, default=2)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    for mode, queue_len in (("end-to-end", 0), ("queue", QUEUE)):
        step, batches = Step(queue_len), [Step.batch() for _ in range(4)]
        for warm_up in range(3):
            step(batches[warm_up])
        times_s = []
        for index in range(args.steps):
            start = time.perf_counter()
            step(batches[index % len(batches)])
            times_s.append(time.perf_counter() - start)
        print(json.dumps({
            "mode": mode, "steps": args.steps, "threads": args.threads, "torch": torch.__version__,
            "median_s": round(statistics.median(times_s), 4), "min_s": round(min(times_s), 4)}))


if __name__ == "__main__":
    main()
