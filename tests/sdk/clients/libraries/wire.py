"""What each provider puts on the wire: JSON as its API documents it, with counts that can be checked by hand."""

from __future__ import annotations

import base64
import json
from typing import Any

TEXT = ("Good", " morning")

# Input 100, of which 60 from the cache and 10 written to it; output 40, of which 30 reasoning.
OPENAI_USAGE = {
    "prompt_tokens": 100,
    "completion_tokens": 40,
    "total_tokens": 140,
    "prompt_tokens_details": {"cached_tokens": 60, "cache_write_tokens": 10, "audio_tokens": 0},
    "completion_tokens_details": {"reasoning_tokens": 30, "audio_tokens": 0},
}


def openai_chat(model: str, response_id: str = "chatcmpl-1") -> dict[str, Any]:
    message = {"role": "assistant", "content": "".join(TEXT), "refusal": None}
    return {
        "id": response_id,
        "object": "chat.completion",
        "created": 1,
        "model": model,
        "service_tier": "default",
        "choices": [{"index": 0, "message": message, "finish_reason": "stop", "logprobs": None}],
        "usage": OPENAI_USAGE,
    }


def openai_chunks(model: str, with_usage: bool, response_id: str = "chatcmpl-1") -> list[dict[str, Any]]:
    def chunk(choices: list[dict[str, Any]], **more: Any) -> dict[str, Any]:
        head = {"id": response_id, "object": "chat.completion.chunk", "created": 1, "model": model}
        return {**head, "service_tier": "default", "choices": choices, **more}

    def choice(delta: dict[str, Any], reason: str | None = None) -> list[dict[str, Any]]:
        return [{"index": 0, "delta": delta, "finish_reason": reason, "logprobs": None}]

    chunks = [chunk(choice({"role": "assistant", "content": ""}))]
    chunks += [chunk(choice({"content": text})) for text in TEXT]
    chunks += [chunk(choice({}, "stop"))]
    return [*chunks, chunk([], usage=OPENAI_USAGE)] if with_usage else chunks


def openai_completion() -> dict[str, Any]:
    return {
        "id": "cmpl-1",
        "object": "text_completion",
        "created": 1,
        "model": "gpt-3.5-turbo-instruct",
        "choices": [{"index": 0, "text": "".join(TEXT), "finish_reason": "length", "logprobs": None}],
        "usage": {"prompt_tokens": 7, "completion_tokens": 2, "total_tokens": 9},
    }


def openai_embeddings() -> dict[str, Any]:
    vector = base64.b64encode(b"\x00\x00\x80?" * 2).decode()  # two times 1.0
    return {
        "object": "list",
        "model": "text-embedding-3-small",
        "data": [{"object": "embedding", "index": 0, "embedding": vector}],
        "usage": {"prompt_tokens": 9, "total_tokens": 9},
    }


def openai_response(status: str = "completed", usage: bool = True) -> dict[str, Any]:
    content = [{"type": "output_text", "text": "".join(TEXT), "annotations": []}]
    message = {"type": "message", "id": "msg_1", "status": "completed", "role": "assistant", "content": content}
    counts = {
        "input_tokens": 100,
        "input_tokens_details": {"cached_tokens": 60, "cache_write_tokens": 10},
        "output_tokens": 40,
        "output_tokens_details": {"reasoning_tokens": 30},
        "total_tokens": 140,
    }
    return {
        "id": "resp_1",
        "object": "response",
        "created_at": 1,
        "status": status,
        "model": "gpt-5-2025-08-07",
        "service_tier": "default",
        "output": [message] if usage else [],
        "parallel_tool_calls": True,
        "tool_choice": "auto",
        "tools": [],
        "usage": counts if usage else None,
    }


def openai_response_events() -> list[dict[str, Any]]:
    begun = openai_response("in_progress", usage=False)
    place = {"item_id": "msg_1", "output_index": 0, "content_index": 0}
    item = {"type": "message", "id": "msg_1", "status": "in_progress", "role": "assistant", "content": []}
    piece = {"type": "output_text", "text": "", "annotations": []}
    events = [
        {"type": "response.created", "response": begun},
        {"type": "response.in_progress", "response": begun},
        {"type": "response.output_item.added", "output_index": 0, "item": item},
        {"type": "response.content_part.added", **place, "part": piece},
        *({"type": "response.output_text.delta", **place, "delta": text, "logprobs": []} for text in TEXT),
        {"type": "response.completed", "response": openai_response()},
    ]
    return [{**event, "sequence_number": number} for number, event in enumerate(events)]


def anthropic_message() -> dict[str, Any]:
    """Fresh input 100, written to the cache 20, read from it 300: 420 together."""
    return {
        "id": "msg_01",
        "type": "message",
        "role": "assistant",
        "model": "claude-fable-5-2",
        "content": [{"type": "text", "text": "".join(TEXT)}],
        "stop_reason": "end_turn",
        "stop_sequence": None,
        "usage": {
            "input_tokens": 100,
            "cache_creation_input_tokens": 20,
            "cache_read_input_tokens": 300,
            "output_tokens": 50,
            "output_tokens_details": {"thinking_tokens": 10},
        },
    }


def anthropic_events() -> list[dict[str, Any]]:
    whole = anthropic_message()
    started = {**whole["usage"], "output_tokens": 1}
    del started["output_tokens_details"]
    block = {"type": "text", "text": ""}
    return [
        {"type": "message_start", "message": {**whole, "content": [], "stop_reason": None, "usage": started}},
        {"type": "content_block_start", "index": 0, "content_block": block},
        *({"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": text}} for text in TEXT),
        {"type": "content_block_stop", "index": 0},
        {
            "type": "message_delta",
            "delta": {"stop_reason": "end_turn", "stop_sequence": None},
            "usage": {"output_tokens": 50, "output_tokens_details": {"thinking_tokens": 10}},
        },
        {"type": "message_stop"},
    ]


def _google(text: str, counts: dict[str, int], reason: str | None = None) -> dict[str, Any]:
    candidate: dict[str, Any] = {"content": {"role": "model", "parts": [{"text": text}]}, "index": 0}
    if reason:
        candidate["finishReason"] = reason
    usage = {"promptTokenCount": 100, "cachedContentTokenCount": 40, "toolUsePromptTokenCount": 7, **counts}
    return {
        "candidates": [candidate],
        "usageMetadata": usage,
        "modelVersion": "gemini-2.5-flash",
        "responseId": "resp-g",
    }


def google_answer() -> dict[str, Any]:
    """Prompt 100 and tools 7: input 107; candidates 20 and thoughts 30: output 50."""
    counts = {"candidatesTokenCount": 20, "thoughtsTokenCount": 30, "totalTokenCount": 157}
    return _google("".join(TEXT), counts, "STOP")


def google_chunks() -> list[dict[str, Any]]:
    return [
        _google(TEXT[0], {"thoughtsTokenCount": 30, "totalTokenCount": 137}),
        _google(TEXT[1], {"candidatesTokenCount": 20, "thoughtsTokenCount": 30, "totalTokenCount": 157}, "STOP"),
    ]


def google_embeddings() -> dict[str, Any]:
    return {
        "embeddings": [{"values": [1.0, 0.0]}, {"values": [0.0, 1.0]}],
        "embedding": {"values": [1.0, 0.0]},
        "usageMetadata": {"promptTokenCount": 8, "totalTokenCount": 8},
    }


COHERE_USAGE = {
    "billed_units": {"input_tokens": 80, "output_tokens": 20},
    "tokens": {"input_tokens": 100, "output_tokens": 20},
    "cached_tokens": 30,
}


def cohere_chat() -> dict[str, Any]:
    return {
        "id": "co-1",
        "finish_reason": "COMPLETE",
        "message": {"role": "assistant", "content": [{"type": "text", "text": "".join(TEXT)}]},
        "usage": COHERE_USAGE,
    }


def cohere_events() -> list[dict[str, Any]]:
    return [
        {"type": "message-start", "id": "co-1", "delta": {"message": {"role": "assistant", "content": []}}},
        {"type": "content-start", "index": 0, "delta": {"message": {"content": {"type": "text", "text": ""}}}},
        *({"type": "content-delta", "index": 0, "delta": {"message": {"content": {"text": text}}}} for text in TEXT),
        {"type": "content-end", "index": 0},
        {"type": "message-end", "delta": {"finish_reason": "COMPLETE", "usage": COHERE_USAGE}},
    ]


def cohere_v1_chat() -> dict[str, Any]:
    return {
        "text": "".join(TEXT),
        "generation_id": "gen-1",
        "response_id": "co-1",
        "finish_reason": "COMPLETE",
        "meta": {"api_version": {"version": "1"}, **COHERE_USAGE},
    }


def cohere_v1_events() -> list[dict[str, Any]]:
    end = {"event_type": "stream-end", "finish_reason": "COMPLETE", "response": cohere_v1_chat()}
    return [
        {"event_type": "stream-start", "generation_id": "gen-1", "is_finished": False},
        *({"event_type": "text-generation", "text": text, "is_finished": False} for text in TEXT),
        {**end, "is_finished": True},
    ]


def cohere_embed() -> dict[str, Any]:
    return {
        "id": "emb-1",
        "response_type": "embeddings_by_type",
        "embeddings": {"float": [[1.0, 0.0]]},
        "texts": ["hello"],
        "meta": {"api_version": {"version": "2"}, "billed_units": {"input_tokens": 6}},
    }


MISTRAL_USAGE = {
    "prompt_tokens": 100,
    "completion_tokens": 20,
    "total_tokens": 120,
    "prompt_tokens_details": {"cached_tokens": 64},
}


def mistral_chat() -> dict[str, Any]:
    message = {"role": "assistant", "content": "".join(TEXT), "tool_calls": None}
    return {
        "id": "mis-1",
        "object": "chat.completion",
        "created": 1,
        "model": "mistral-small-latest",
        "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
        "usage": MISTRAL_USAGE,
    }


def mistral_chunks() -> list[dict[str, Any]]:
    head = {"id": "mis-1", "object": "chat.completion.chunk", "created": 1, "model": "mistral-small-latest"}
    chunks = [{**head, "choices": [{"index": 0, "delta": {"content": text}, "finish_reason": None}]} for text in TEXT]
    end = {**head, "choices": [{"index": 0, "delta": {"content": ""}, "finish_reason": "stop"}]}
    return [*chunks, {**end, "usage": MISTRAL_USAGE}]


def mistral_embeddings() -> dict[str, Any]:
    return {
        "id": "mis-2",
        "object": "list",
        "model": "mistral-embed",
        "data": [{"object": "embedding", "index": 0, "embedding": [1.0, 0.0]}],
        "usage": {"prompt_tokens": 9, "completion_tokens": 0, "total_tokens": 9},
    }


def _ollama(chat: bool, text: str) -> dict[str, Any]:
    said = {"message": {"role": "assistant", "content": text}} if chat else {"response": text}
    return {"model": "llama3.2", "created_at": "2026-11-24T00:00:00Z", **said}


_OLLAMA_END = {
    "done": True,
    "done_reason": "stop",
    "total_duration": 5,
    "load_duration": 1,
    "prompt_eval_count": 26,
    "prompt_eval_duration": 2,
    "eval_count": 12,
    "eval_duration": 2,
}


def ollama_answer(chat: bool) -> dict[str, Any]:
    return {**_ollama(chat, "".join(TEXT)), **_OLLAMA_END}


def ollama_chunks(chat: bool) -> list[dict[str, Any]]:
    chunks = [{**_ollama(chat, text), "done": False} for text in TEXT]
    return [*chunks, {**_ollama(chat, ""), **_OLLAMA_END}]


def ollama_embed() -> dict[str, Any]:
    return {
        "model": "nomic-embed-text",
        "embeddings": [[1.0, 0.0]],
        "total_duration": 5,
        "load_duration": 1,
        "prompt_eval_count": 8,
    }


# Fresh input 100, read from the cache 30, written to it 20: 150 together.
BEDROCK_USAGE = {
    "inputTokens": 100,
    "outputTokens": 50,
    "totalTokens": 200,
    "cacheReadInputTokens": 30,
    "cacheWriteInputTokens": 20,
}


def bedrock_converse() -> dict[str, Any]:
    return {
        "output": {"message": {"role": "assistant", "content": [{"text": "".join(TEXT)}]}},
        "stopReason": "end_turn",
        "usage": BEDROCK_USAGE,
        "metrics": {"latencyMs": 5},
    }


def bedrock_events() -> list[tuple[str, dict[str, Any]]]:
    return [
        ("messageStart", {"role": "assistant"}),
        *(("contentBlockDelta", {"contentBlockIndex": 0, "delta": {"text": text}}) for text in TEXT),
        ("contentBlockStop", {"contentBlockIndex": 0}),
        ("messageStop", {"stopReason": "end_turn"}),
        ("metadata", {"usage": BEDROCK_USAGE, "metrics": {"latencyMs": 5}}),
    ]


BEDROCK_HEADERS = {
    "x_amzn_bedrock_input_token_count": "100",
    "x_amzn_bedrock_output_token_count": "50",
    "x_amzn_RequestId": "req-1",
}


def bedrock_invoke() -> dict[str, Any]:
    return {"generation": "".join(TEXT), "stop_reason": "stop"}


def bedrock_invoke_chunks() -> list[dict[str, Any]]:
    metrics = {
        "inputTokenCount": 100,
        "outputTokenCount": 50,
        "cacheReadInputTokenCount": 30,
        "cacheWriteInputTokenCount": 20,
        "invocationLatency": 5,
        "firstByteLatency": 1,
    }
    bodies: list[dict[str, Any]] = [{"generation": text} for text in TEXT]
    bodies.append({"generation": "", "stop_reason": "stop", "amazon-bedrock-invocationMetrics": metrics})
    return [{"bytes": base64.b64encode(json.dumps(body).encode()).decode()} for body in bodies]
