"""Knobs: what chat requests may say here without any effect on the answer."""

__all__ = ["ACCEPTED"]

# These say something about the request, nothing about the answer: to accept them is honest.
_LABELS = frozenset(
    {
        "metadata",
        "prompt_cache_key",
        "prompt_cache_options",
        "prompt_cache_retention",
        "prompt_mode",
        "safe_prompt",
        "safety_identifier",
        "service_tier",
        "store",
        "user",
    }
)

# These are hints that leave the answer to the model, or ask for what it does anyway.
_HINTS = frozenset(
    {
        "modalities",
        "parallel_tool_calls",
        "prediction",
        "reasoning_effort",
        "reasoning_format",
        "verbosity",
    }
)

# These turn what this model does not have: caches of keys and values, templates, beams, grammars.
_VLLM = frozenset(
    {
        "add_generation_prompt",
        "add_special_tokens",
        "allowed_token_ids",
        "bad_words",
        "best_of",
        "cache_salt",
        "chat_template",
        "chat_template_kwargs",
        "continue_final_message",
        "documents",
        "echo",
        "guided_choice",
        "guided_decoding_backend",
        "guided_grammar",
        "guided_regex",
        "guided_whitespace_pattern",
        "include_reasoning",
        "include_stop_str_in_output",
        "kv_transfer_params",
        "length_penalty",
        "logits_processors",
        "mm_processor_kwargs",
        "priority",
        "prompt_logprobs",
        "request_id",
        "return_token_ids",
        "return_tokens_as_token_ids",
        "skip_special_tokens",
        "spaces_between_special_tokens",
        "stop_token_ids",
        "thinking_token_budget",
        "truncate_prompt_tokens",
        "use_beam_search",
        "vllm_xargs",
    }
)
_LLAMA = frozenset(
    {
        "cache_prompt",
        "dry_allowed_length",
        "dry_base",
        "dry_multiplier",
        "dry_penalty_last_n",
        "dry_sequence_breakers",
        "dynatemp_exponent",
        "dynatemp_range",
        "grammar",
        "id_slot",
        "keep_alive",
        "lora",
        "min_keep",
        "mirostat",
        "mirostat_eta",
        "mirostat_tau",
        "n_cache_reuse",
        "n_discard",
        "n_indent",
        "n_keep",
        "n_predict",
        "n_probs",
        "options",
        "penalize_nl",
        "post_sampling_probs",
        "repeat_last_n",
        "response_fields",
        "return_progress",
        "return_tokens",
        "samplers",
        "speculative.n_max",
        "speculative.n_min",
        "speculative.p_min",
        "t_max_predict_ms",
        "tfs_z",
        "timings_per_token",
        "top_n_sigma",
        "typical_p",
        "xtc_probability",
        "xtc_threshold",
    }
)

ACCEPTED = _LABELS | _HINTS | _VLLM | _LLAMA
