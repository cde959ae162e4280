// What every API is to the gateway: bytes to domain requests, events to bytes, and words for
// errors.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "core/error.hpp"
#include "core/secret.hpp"
#include "core/time.hpp"
#include "domain/event.hpp"
#include "domain/request.hpp"

namespace tacit::api {

// Limits of what a request's body may hold. The gateway sets the first; the rest are the same
// everywhere.
struct Limits {
  std::size_t body_bytes_max = 32 * 1024 * 1024;
  std::size_t json_depth_max = 64;
  std::size_t messages_max = 10'000;
  std::size_t stops_max = 16;
  std::size_t stop_bytes_max = 1024;
  std::size_t model_bytes_max = 256;
  std::size_t tools_max = 512;
  std::size_t choices_max = 128;
  std::size_t inputs_max = 2048;  // of an embeddings request
};

// AnswerContext is what is known of an answer when it begins.
struct AnswerContext {
  std::string id;  // 24 hexadecimal digits, fresh; an API puts its own prefix before it
  std::string model;
  std::int64_t created_unix_s = 0;
};

// Timing of one generation, for the APIs that tell it.
struct Timing {
  Nanoseconds total{};
  Nanoseconds load{};      // until the model was there
  Nanoseconds prompt{};    // until the first piece of the answer
  Nanoseconds generate{};  // from there to the end
};

// Renderer turns the events of one call into its response. Call begin() once; then feed every event
// in order, and take what it wrote. Streaming: whole wire events after each batch. Otherwise: the
// body, after the last event of the last choice. Not thread-safe.
class Renderer {
 public:
  virtual ~Renderer() = default;
  virtual void begin(const AnswerContext& context) = 0;
  // `choice` is the place of the request in Call::requests.
  virtual void feed(std::uint32_t choice, const domain::Event& event) = 0;
  // Before a choice's Finished.
  virtual void timed(std::uint32_t /*choice*/, const Timing& /*timing*/) {}
  // Bytes rendered since the last take().
  virtual SecretText take() = 0;
};

// Call is a request's body, understood.
struct Call {
  std::vector<domain::GenerateRequest> requests;  // one for each choice or input; at least one
  bool stream = false;
  std::string_view stream_type = "text/event-stream; charset=utf-8";
  std::uint32_t num_unknown_fields = 0;  // accepted and ignored
  std::unique_ptr<Renderer> renderer;
};

// Parse reads a request's body. Errors: malformed (not JSON), invalid_argument (subject: the
// field's path), unsupported (a field that would change the answer and is not offered), too_large.
// No error carries text of the request.
using Parse = Result<Call> (*)(std::string_view body, const Limits& limits);

// Dialect is how an API words what is not an answer.
struct Dialect {
  // An error's body. `code` replaces the table's word where the API has a more precise one.
  std::string (*error)(const Error& error, std::string_view code);
};

// The requests of `num_choices` answers to `request`: with a seed, each has one of its own.
std::vector<domain::GenerateRequest> choices_of(domain::GenerateRequest request,
                                                std::uint32_t num_choices);

}  // namespace tacit::api
