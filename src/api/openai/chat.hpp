// OpenAI Chat Completions: bytes to domain, events to bytes. Pure functions; no I/O.
// Source: OpenAI's API description (openai/openai-openapi v2.3.0), paths./chat/completions.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "core/error.hpp"
#include "domain/event.hpp"
#include "domain/request.hpp"

namespace tacit::api::openai {

struct ChatLimits {
  std::size_t body_bytes_max = 32 * 1024 * 1024;
  std::size_t json_depth_max = 64;
  std::size_t messages_max = 10'000;
  std::size_t stops_max = 16;
  std::size_t stop_bytes_max = 1024;
  std::size_t model_bytes_max = 256;
};

struct ChatRequest {
  domain::GenerateRequest generate;
  bool stream = false;
  bool include_usage = false;            // stream_options.include_usage
  std::uint32_t num_unknown_fields = 0;  // accepted and ignored
};

// parse_chat reads a request body. Errors: malformed (not JSON), invalid_argument (subject: the
// field's path), unsupported (a field that would change the answer and is not offered), too_large.
// No error carries text of the request.
Result<ChatRequest> parse_chat(std::string_view body, const ChatLimits& limits = {});

// ChatRenderer turns the events of one generation into a response. Feed every event in order, then
// take what it wrote. Streaming: SSE bytes after each batch. Otherwise: one JSON body after the
// last event. Not thread-safe.
class ChatRenderer {
 public:
  struct Options {
    std::string id;  // "chatcmpl-..."
    std::string model;
    std::int64_t created_unix_s = 0;
    bool stream = false;
    bool include_usage = false;
  };
  explicit ChatRenderer(Options options);

  void feed(const domain::Event& event);
  // Bytes rendered since the last take(); SSE events are whole. Empty until the end when not
  // streaming.
  SecretText take();

 private:
  void feed_streamed(const domain::Event& event);
  void feed_whole(const domain::Event& event);
  void chunk(std::string_view delta, std::string_view finish_reason);
  void text_chunk(std::string_view member, const domain::Content& text);

  Options options_;
  std::string chunk_head_;  // the part that all chunks share
  std::string chunk_tail_;  // after the choice: usage null and the end of the event
  SecretText out_;
  SecretText content_;  // of the whole answer, when not streaming
  SecretText reasoning_;
  bool role_sent_ = false;
};

}  // namespace tacit::api::openai
