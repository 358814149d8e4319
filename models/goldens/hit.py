"""HiT in plain eager PyTorch: the oracle of the golden files and the yardstick of step_speed.py.

Written independently of the Rust encoder: every expert has a slot of fixed length and absent or padded
tokens are masked by -10000 (MMT's layout), where the Rust encoder packs tokens. Parameter names agree.
"""

import torch
import torch.nn.functional as F
from torch import nn


class Layer(nn.Module):
    """BERT's layer: post-LN, exact GELU."""

    def __init__(self, hidden, heads, ffn, dropout, attention_dropout):
        super().__init__()
        self.heads, self.dropout, self.attention_dropout = heads, dropout, attention_dropout
        self.attention = nn.ModuleDict({
            "self": nn.ModuleDict({k: nn.Linear(hidden, hidden) for k in ("query", "key", "value")}),
            "output": nn.ModuleDict({
                "dense": nn.Linear(hidden, hidden), "LayerNorm": nn.LayerNorm(hidden, eps=1e-12)}),
        })
        self.intermediate = nn.ModuleDict({"dense": nn.Linear(hidden, ffn)})
        self.output = nn.ModuleDict({
            "dense": nn.Linear(ffn, hidden), "LayerNorm": nn.LayerNorm(hidden, eps=1e-12)})

    def forward(self, x, mask):
        batch, length, hidden = x.shape
        projections = self.attention["self"]
        q, k, v = (projections[name](x).view(batch, length, self.heads, -1).transpose(1, 2)
                   for name in ("query", "key", "value"))
        p = self.attention_dropout if self.training else 0.0
        context = F.scaled_dot_product_attention(q, k, v, attn_mask=mask, dropout_p=p)
        context = context.transpose(1, 2).reshape(batch, length, hidden)
        out = self.attention["output"]
        x = out["LayerNorm"](F.dropout(out["dense"](context), self.dropout, self.training) + x)
        inner = F.gelu(self.intermediate["dense"](x))
        return self.output["LayerNorm"](
            F.dropout(self.output["dense"](inner), self.dropout, self.training) + x)


class Tower(nn.Module):
    """Layers with two taps."""

    def __init__(self, hidden, heads, ffn, layers, taps, dropout, attention_dropout):
        super().__init__()
        self.taps, self.dropout = taps, dropout
        self.encoder = nn.ModuleDict({"layer": nn.ModuleList(
            Layer(hidden, heads, ffn, dropout, attention_dropout) for _ in range(layers))})

    def run(self, x, valid):
        """Outputs of the two taps for embeddings `x` [batch, length, hidden] before the layer norm."""
        x = F.dropout(self.embeddings["LayerNorm"](x), self.dropout, self.training)
        mask = None if bool(valid.all()) else ((~valid) * -10000.0).to(x.dtype)[:, None, None, :]
        outputs = []
        for layer in self.encoder["layer"][:self.taps[1]]:
            x = layer(x, mask)
            outputs.append(x)
        return outputs[self.taps[0] - 1], outputs[self.taps[1] - 1]


class Text(Tower):
    def __init__(self, vocab_size, max_positions, hidden, **sizes):
        super().__init__(hidden, **sizes)
        self.embeddings = nn.ModuleDict({
            "word_embeddings": nn.Embedding(vocab_size, hidden),
            "position_embeddings": nn.Embedding(max_positions, hidden),
            "token_type_embeddings": nn.Embedding(2, hidden),
            "LayerNorm": nn.LayerNorm(hidden, eps=1e-12),
        })

    def forward(self, ids, valid):
        table = self.embeddings
        places = torch.arange(ids.shape[1])
        x = table["word_embeddings"](ids) + table["token_type_embeddings"](torch.zeros_like(ids))
        return self.run(x + table["position_embeddings"](places), valid)


class Table(nn.Module):
    """One learned row."""

    def __init__(self, hidden):
        super().__init__()
        self.weight = nn.Parameter(torch.empty(1, hidden))


class Video(Tower):
    def __init__(self, experts, max_positions, hidden, segments, **sizes):
        super().__init__(hidden, **sizes)
        self.max_positions = max_positions
        self.projections = nn.ModuleDict({name: nn.Linear(dim, hidden) for name, dim in experts})
        tables = {
            "cls_embedding": Table(hidden),
            "position_embeddings": nn.Embedding(max_positions, hidden),
            "expert_embeddings": nn.Embedding(1 + len(experts), hidden),
            "LayerNorm": nn.LayerNorm(hidden, eps=1e-12),
        }
        if segments:
            tables["segment_embeddings"] = nn.Embedding(2, hidden)
        self.embeddings = nn.ModuleDict(tables)

    def forward(self, videos):
        """`videos`: per expert, features [batch, rows, dim], their number [batch], times [batch, rows] or None."""
        table, device = self.embeddings, self.embeddings["cls_embedding"].weight.device
        batch = next(iter(videos.values()))[0].shape[0]
        tokens = [table["cls_embedding"].weight.expand(batch, 1, -1)]
        positions = [torch.zeros(batch, 1, dtype=torch.long, device=device)]
        experts, valid = [0], [torch.ones(batch, 1, dtype=torch.bool, device=device)]
        for index, (name, projection) in enumerate(self.projections.items()):
            features, counts, times = videos[name]
            rows = torch.arange(features.shape[1], device=device)[None] < counts[:, None]
            maximum = features.masked_fill(~rows[..., None], float("-inf")).amax(1)
            maximum = maximum.masked_fill(counts[:, None] == 0, 0.0)
            raw = torch.cat([maximum[:, None], features], 1)
            tokens.append(F.normalize(projection(raw), dim=-1))
            if times is None:
                place = torch.ones_like(rows, dtype=torch.long)
            else:
                place = (times + 2).floor().long().clamp(2, self.max_positions - 1)
            positions.append(torch.cat([torch.zeros(batch, 1, dtype=torch.long, device=device), place], 1))
            experts += [1 + index] * raw.shape[1]
            valid.append(torch.cat([counts[:, None] > 0, rows], 1))
        positions, valid = torch.cat(positions, 1), torch.cat(valid, 1)
        x = torch.cat(tokens, 1) + table["position_embeddings"](positions)
        x = x + table["expert_embeddings"](torch.tensor(experts, device=device))
        if "segment_embeddings" in table:
            x = x + table["segment_embeddings"]((positions > 0).long())
        return self.run(x, valid), valid


def pool(tokens, valid, kind):
    if kind == "cls":
        return tokens[:, 0]
    if kind == "max":
        return tokens.masked_fill(~valid[..., None], float("-inf")).amax(1)
    weight = valid[..., None].to(tokens.dtype)
    return (tokens * weight).sum(1) / weight.sum(1)


class Hit(nn.Module):
    def __init__(self, text, video, embed_dim, pooling="mean"):
        super().__init__()
        self.pooling = pooling
        self.text, self.video = Text(**text), Video(**video)
        self.heads = nn.ModuleDict({
            name: nn.ModuleDict({
                level: nn.Linear(sizes["hidden"], embed_dim) for level in ("feature", "semantic")})
            for name, sizes in (("text", text), ("video", video))})
        for name, parameter in self.named_parameters():
            if "LayerNorm" in name or name.endswith("bias"):
                nn.init.constant_(parameter, 1.0 if name.endswith("LayerNorm.weight") else 0.0)
            else:
                nn.init.normal_(parameter, std=0.02)

    def embed(self, name, taps, valid):
        """Unit rows at the feature and the semantic level."""
        return [F.normalize(self.heads[name][level](pool(tokens, valid, self.pooling)), dim=-1)
                for level, tokens in zip(("feature", "semantic"), taps)]

    def encode_text(self, ids, valid):
        return self.embed("text", self.text(ids, valid), valid)

    def encode_video(self, videos):
        taps, valid = self.video(videos)
        return self.embed("video", taps, valid)
