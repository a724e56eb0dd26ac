"""The keys of released configs, as they were published."""

from typing import Any

DEEPSEEK: dict[str, Any] = {
    "image_token_id": 129264,
    "text_config": {
        "engram_layer_ids": [1, 14],
        "engram_num_embeddings": [384006168, 384016682],
        "engram_max_ngram_size": 4,
        "engram_vocab_size": 16000000,
        "engram_n_heads": 8,
        "engram_head_dim": 256,
        "engram_pad_token_id": 2,
        "engram_compressed_vocab_size": 99092,
        "vocab_size": 129280,
        "hidden_size": 5120,
    },
}
QWEN: dict[str, Any] = {
    "model_type": "qwen4_exp",
    "text_config": {
        "ple_layer_ids": [2],
        "ple_embed_dim": 2560,
        "ple_conv_kernel_size": 4,
        "ngram_size": 3,
        "heads_per_ngram": 8,
        "ngram_vocab_size_base": 20000000,
        "make_ngram_vocab_size_divisible_by": 128,
        "split_ngram_parts": 128,
        "vocab_size": 248320,
        "eos_token_id": 248044,
        "hc_count": 4,
        "hidden_size": 2560,
    },
}
LITE: dict[str, Any] = {
    "vocab_size": 131072,
    "hidden_size": 3072,
    "ngram_vocab_size_ratio": 78,
    "emb_neighbor_num": 4,
    "emb_split_num": 4,
    "eos_token_id": 2,
}
LONGCAT2: dict[str, Any] = {
    "vocab_size": 163840,
    "hidden_size": 8192,
    "oe_vocab_size_ratio": 100.567,
    "oe_neighbor_num": 5,
    "oe_split_num": 4,
    "eos_token_id": 2,
}
NEXT: dict[str, Any] = {
    "vocab_size": 282624,
    "text_vocab_size": 131072,
    "hidden_size": 3072,
    "oe_vocab_size_ratio": 78,
    "oe_neighbor_num": 4,
    "oe_split_num": 4,
    "oe_ignored_token_ids": list(range(131072, 131125)),
    "eos_token_id": 2,
}
SCOPE: dict[str, Any] = {
    "vocab_size": 163840,
    "hidden_size": 3072,
    "ngram_vocab_size_ratio": 28.8,
    "emb_neighbor_num": 4,
    "emb_split_num": 4,
    "eos_token_id": 2,
    "ngram_exclude_sp_token": True,
    "special_token_scope": "0:4,36:55",
    "ngram_fix_normalize_factor": True,
}
MOJO: dict[str, Any] = {
    "ori_vocab_size": 19,
    "ori_embed_dim": 8,
    "oe_embed_dim": 4,
    "oe_vocab_sizes": [31, 33, 37, 41],
    "oe_grams": [2, 2, 3, 3],
}
