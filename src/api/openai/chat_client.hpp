// OpenAI Chat Completions from the other side: our requests to bytes, what streams back to events.
// Sans I/O. Source: as chat.hpp.
#pragma once

#include <string_view>

#include "core/error.hpp"
#include "core/secret.hpp"
#include "domain/event.hpp"
#include "domain/request.hpp"

namespace tacit::api::openai {

inline constexpr std::string_view kChatPath = "/v1/chat/completions";

// The body of a request for a stream with usage: messages, sampling, stop texts and the limit on
// tokens. What else a request may hold (tools, constraints, tokenized prompts) is refused with
// unsupported.
Result<SecretText> chat_body(const domain::GenerateRequest& request);

// ChatStream turns the data of server-sent events into domain events. Not thread-safe.
class ChatStream {
 public:
  // Appends what one event's data say to `out`. After Finished or Failed nothing more is taken.
  // Errors: malformed, too_large: what the server sends is no such stream.
  Result<void> feed(std::string_view data, domain::EventBatch& out);
  bool finished() const noexcept { return finished_; }

 private:
  domain::FinishReason reason_ = domain::FinishReason::stop;
  domain::Usage usage_;
  bool finished_ = false;
};

// The error of an answer that is no 200, in the server's own words where it has any.
Error chat_error(int status, std::string_view body);

}  // namespace tacit::api::openai
