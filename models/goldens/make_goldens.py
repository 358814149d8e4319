"""Writes weights.safetensors and cases.safetensors: a small HiT computed in float64 by PyTorch.

Run with PyTorch, numpy and safetensors; one thread, so that a run repeats on one machine. `src/encoder/goldens.rs`
reads them. Weights are larger than BERT's initial ones, so that attention and GELU are far from linear.
"""

from pathlib import Path

import torch
from safetensors.torch import save_file

import hit

HERE = Path(__file__).parent
EXPERTS = [("motion", 7), ("scene", 5)]
SIZES = dict(layers=3, taps=(1, 3), dropout=0.1, attention_dropout=0.1)
TEXT = dict(vocab_size=24, max_positions=9, hidden=12, heads=3, ffn=20, **SIZES)
VIDEO = dict(experts=EXPERTS, max_positions=8, hidden=16, heads=2, ffn=24, **SIZES)
EMBED_DIM = 10


def check_layer(layer):
    """Our layer is torch.nn.TransformerEncoderLayer with other names."""
    hidden, ffn = layer.output["dense"].out_features, layer.output["dense"].in_features
    theirs = torch.nn.TransformerEncoderLayer(
        hidden, layer.heads, ffn, activation="gelu", layer_norm_eps=1e-12, batch_first=True).double().eval()
    own, parts = layer.state_dict(), {}
    for kind in ("weight", "bias"):
        qkv = [own[f"attention.self.{name}.{kind}"] for name in ("query", "key", "value")]
        parts[f"self_attn.in_proj_{kind}"] = torch.cat(qkv)
        parts[f"self_attn.out_proj.{kind}"] = own[f"attention.output.dense.{kind}"]
        parts[f"norm1.{kind}"] = own[f"attention.output.LayerNorm.{kind}"]
        parts[f"linear1.{kind}"] = own[f"intermediate.dense.{kind}"]
        parts[f"linear2.{kind}"] = own[f"output.dense.{kind}"]
        parts[f"norm2.{kind}"] = own[f"output.LayerNorm.{kind}"]
    theirs.load_state_dict(parts)
    x = torch.randn(2, 5, hidden, dtype=torch.float64)
    valid = torch.tensor([[True] * 5, [True] * 3 + [False] * 2])
    mask = ((~valid) * -10000.0).double()[:, None, None, :]
    ours, theirs = layer(x, mask)[valid], theirs(x, src_key_padding_mask=~valid)[valid]
    torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-12)


def model(pooling, segments):
    return hit.Hit(TEXT, dict(VIDEO, segments=segments), EMBED_DIM, pooling).double().eval()


@torch.no_grad()
def draw_weights():
    weights = {}
    for name, value in model("mean", True).state_dict().items():
        value = torch.randn_like(value) * (0.5 if value.dim() == 2 else 0.2)
        weights[name] = (value + 1 if name.endswith("LayerNorm.weight") else value).float()
    return weights


def main():
    torch.set_num_threads(1)
    torch.manual_seed(20210328)
    weights = draw_weights()
    lengths = torch.tensor([6, 3, 9])
    ids = torch.randint(0, 24, (3, 9)) * (torch.arange(9)[None] < lengths[:, None])
    text_valid = torch.arange(9)[None] < lengths[:, None]
    motion, scene = torch.randn(3, 4, 7), torch.randn(3, 2, 5)
    motion_rows, scene_rows = torch.tensor([4, 0, 2]), torch.tensor([1, 2, 0])
    times = torch.rand(3, 4).sort(1).values * 9
    inputs = {"ids": ids, "text_lengths": lengths, "motion": motion, "motion_rows": motion_rows,
              "motion_times": times, "scene": scene, "scene_rows": scene_rows}
    videos = {"motion": (motion.double(), motion_rows, times), "scene": (scene.double(), scene_rows, None)}
    direction = torch.randn(3, EMBED_DIM)
    cases = {f"input.{name}": value for name, value in inputs.items()} | {"input.direction": direction}

    for pooling in ("mean", "max", "cls"):
        for segments in (False, True):
            hit_model = model(pooling, segments)
            own = {name: weights[name].double() for name in hit_model.state_dict()}
            hit_model.load_state_dict(own)
            check_layer(hit_model.text.encoder["layer"][0])
            name = f"{pooling}.{'segments' if segments else 'plain'}"
            text, video = hit_model.encode_text(ids, text_valid), hit_model.encode_video(videos)
            for level, rows in zip(("feature", "semantic"), text):
                cases[f"{name}.text.{level}"] = rows
            for level, rows in zip(("feature", "semantic"), video):
                cases[f"{name}.video.{level}"] = rows
            if name != "mean.segments":
                continue
            for level, tokens in zip(("feature", "semantic"), hit_model.text(ids, text_valid)):
                cases[f"tokens.text.{level}"] = tokens[text_valid]
            taps, valid = hit_model.video(videos)
            for level, tokens in zip(("feature", "semantic"), taps):
                cases[f"tokens.video.{level}"] = tokens[valid]
            sum((rows * direction).sum() for rows in text + video).backward()
            for parameter, value in hit_model.named_parameters():
                cases[f"gradient.{parameter}"] = value.grad
    cases = {name: (value.float() if value.is_floating_point() else value).detach().contiguous()
             for name, value in cases.items()}
    save_file(weights, HERE / "weights.safetensors")
    save_file(cases, HERE / "cases.safetensors")


if __name__ == "__main__":
    main()
