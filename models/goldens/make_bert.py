"""Makes the small BERT of `bert/` and what the `transformers` package computes with it.

    pip install torch transformers safetensors
    python make_bert.py

Writes the weights as `model.safetensors`, as `pytorch_model.bin` in the form of PyTorch before 1.6 (as bert-base was
published) and, in half precision, as `zip.bin` in today's form; `views.bin` with tensors that share one storage;
`config.json`, `vocab.txt`; and `cases.safetensors` with
token ids, lengths and the hidden states after the first and the last layer.
"""

from pathlib import Path

import torch
from safetensors.torch import save_file
from transformers import BertConfig, BertForPreTraining

FOLDER = Path(__file__).parent / "bert"
WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"] + [f"word{i}" for i in range(35)]


def main():
    torch.manual_seed(5)
    config = BertConfig(
        vocab_size=len(WORDS),
        hidden_size=16,
        num_hidden_layers=3,
        num_attention_heads=2,
        intermediate_size=32,
        max_position_embeddings=12,
        initializer_range=0.3,
    )
    model = BertForPreTraining(config).eval()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "LayerNorm" in name or name.endswith("bias"):
                parameter.add_(0.2 * torch.randn_like(parameter))
    lengths = torch.tensor([9, 5, 2])
    ids = torch.randint(5, len(WORDS), (3, 9))
    ids[:, 0] = 2
    mask = torch.arange(9)[None] < lengths[:, None]
    ids[torch.arange(3), lengths - 1] = 3
    ids = torch.where(mask, ids, torch.zeros_like(ids))
    with torch.no_grad():
        states = model.bert(ids, attention_mask=mask.long(), output_hidden_states=True).hidden_states
    FOLDER.mkdir(exist_ok=True)
    # As published: with the pre-training heads, whose word matrix is that of the embeddings.
    weights = {name: value.contiguous().clone() for name, value in model.state_dict().items()}
    save_file(weights, FOLDER / "model.safetensors")
    torch.save(model.state_dict(), FOLDER / "pytorch_model.bin", _use_new_zipfile_serialization=False)
    half = {name: value.half() if value.is_floating_point() else value for name, value in weights.items()}
    torch.save(half, FOLDER / "zip.bin")
    numbers = torch.arange(12.0)
    views = {"transposed": numbers[:6].reshape(2, 3).t(), "middle": numbers[4:8], "every other": numbers[1::2]}
    torch.save(views, FOLDER / "views.bin")
    (FOLDER / "config.json").write_text(config.to_json_string())
    (FOLDER / "vocab.txt").write_text("\n".join(WORDS) + "\n")
    cases = {"ids": ids, "lengths": lengths}
    # Only tokens that are no padding, one after another.
    cases["first"] = states[1][mask]
    cases["last"] = states[-1][mask]
    save_file({name: value.contiguous() for name, value in cases.items()}, FOLDER / "cases.safetensors")


if __name__ == "__main__":
    main()
