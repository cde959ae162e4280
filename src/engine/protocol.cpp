#include "engine/protocol.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "core/text.hpp"
#include "engine/wire_codec.hpp"
#include "engine/wire_error.hpp"
#include "engine/wire_request.hpp"

namespace tacit::engine {
namespace {

using Limits = ProtocolLimits;
using namespace wire;  // NOLINT(google-build-using-namespace): this file's own vocabulary

enum class Type : std::uint8_t {
  generate = 1,
  cancel = 2,
  credit = 3,
  hello = 16,
  ready = 17,
  load_failed = 18,
  stats = 19,
  started = 32,
  text = 33,
  reasoning = 34,
  finished = 35,
  failed = 36,
  tool_call = 37,
  tokens = 38,
  vector = 39,
};

template <class Body> SecretBytes frame(const Body& body) {
  Counter counter;
  Writer<Counter> count{counter};
  body(count);
  SecretBytes out{4 + counter.size()};
  Filler filler{out.reveal_mutable()};
  Writer<Filler> fill{filler};
  fill.u32(static_cast<std::uint32_t>(counter.size()));
  body(fill);
  return out;
}

Result<Error> get_error(ByteReader& in) {
  WireError wire;
  TACIT_TRY(wire.row, in.u16());
  for (auto& value : wire.values) {
    TACIT_TRY(const auto raw, in.u64());
    value = static_cast<std::int64_t>(raw);
  }
  return from_wire(wire);
}

Result<void> done(const ByteReader& in) {
  if (!in.done()) return fail(Code::malformed, "trailing bytes");
  return {};
}

Result<domain::Usage> get_usage(ByteReader& in) {
  domain::Usage usage;
  TACIT_TRY(usage.prompt_tokens, in.u32());
  TACIT_TRY(usage.cached_prompt_tokens, in.u32());
  TACIT_TRY(usage.completion_tokens, in.u32());
  if (usage.cached_prompt_tokens > usage.prompt_tokens)
    return fail(Code::malformed, "usage does not add up");
  return usage;
}

Result<domain::TokenLogprob> get_logprob(ByteReader& in, bool with_top) {
  domain::TokenLogprob out;
  TACIT_TRY(out.token, get_i32(in));
  TACIT_TRY(const auto bytes, in.sized(Limits::token_bytes_max));
  out.bytes = domain::Content{as_text(bytes)};
  TACIT_TRY(out.logprob, in.f32());
  if (!(out.logprob <= 0.0f)) return fail(Code::malformed, "log-probability out of range");
  if (!with_top) return out;
  TACIT_TRY(const auto n, get_count(in, Limits::logprobs_max, "too many alternatives"));
  for (std::uint32_t i = 0; i < n; ++i) {
    TACIT_TRY(auto each, get_logprob(in, false));
    out.top.push_back(std::move(each));
  }
  return out;
}

Result<domain::Event> get_text_delta(ByteReader& in) {
  domain::TextDelta out;
  TACIT_TRY(out.num_tokens, in.u32());
  TACIT_TRY(const auto text, get_text(in, Limits::delta_bytes_max));
  out.text = domain::Content{text};
  TACIT_TRY(const auto n, get_count(in, Limits::delta_logprobs_max, "too many log-probabilities"));
  for (std::uint32_t i = 0; i < n; ++i) {
    TACIT_TRY(auto each, get_logprob(in, true));
    out.logprobs.push_back(std::move(each));
  }
  if (text.empty() && n == 0) return fail(Code::malformed, "empty delta");
  return out;
}

Result<domain::Event> get_reasoning_delta(ByteReader& in) {
  TACIT_TRY(const auto num_tokens, in.u32());
  TACIT_TRY(const auto text, get_text(in, Limits::delta_bytes_max));
  if (text.empty()) return fail(Code::malformed, "empty delta");
  return domain::ReasoningDelta{domain::Content{text}, num_tokens};
}

Result<domain::Event> get_tool_call(ByteReader& in) {
  domain::ToolCallDelta out;
  TACIT_TRY(out.num_tokens, in.u32());
  TACIT_TRY(out.index, in.u32());
  TACIT_TRY(const auto id, get_text(in, Limits::name_bytes_max));
  TACIT_TRY(const auto name, get_text(in, Limits::name_bytes_max));
  TACIT_TRY(const auto arguments, get_text(in, Limits::delta_bytes_max));
  if (name.empty() && arguments.empty()) return fail(Code::malformed, "empty delta");
  out.id = id;
  out.name = name;
  out.arguments = domain::Content{arguments};
  return out;
}

Result<domain::Event> get_tokens(ByteReader& in) {
  domain::TokensDelta out;
  TACIT_TRY(const auto n, get_count(in, Limits::delta_values_max, "too many tokens"));
  if (n == 0) return fail(Code::malformed, "empty delta");
  for (std::uint32_t i = 0; i < n; ++i) {
    TACIT_TRY(const auto token, get_i32(in));
    out.tokens.push_back(token);
  }
  return out;
}

Result<domain::Event> get_vector(ByteReader& in) {
  domain::VectorDelta out;
  TACIT_TRY(const auto n, get_count(in, Limits::delta_values_max, "too many values"));
  if (n == 0) return fail(Code::malformed, "empty delta");
  for (std::uint32_t i = 0; i < n; ++i) {
    TACIT_TRY(const auto value, in.f32());
    if (!std::isfinite(value)) return fail(Code::malformed, "value is not a number");
    out.values.push_back(value);
  }
  return out;
}

Result<domain::Event> get_finished(ByteReader& in) {
  domain::Finished out;
  TACIT_TRY(out.reason, get_enum(in, domain::FinishReason::tool_calls, "unknown finish reason"));
  TACIT_TRY(out.usage, get_usage(in));
  TACIT_TRY(const bool by_stop, get_bool(in));
  if (by_stop) {
    TACIT_TRY(const auto index, in.u32());
    out.stop_index = index;
  }
  return out;
}

Result<domain::Event> get_event(Type type, ByteReader& in) {
  switch (type) {
    case Type::started: {
      TACIT_TRY(const auto n, in.u32());
      return domain::Started{n};
    }
    case Type::text: return get_text_delta(in);
    case Type::reasoning: return get_reasoning_delta(in);
    case Type::tool_call: return get_tool_call(in);
    case Type::tokens: return get_tokens(in);
    case Type::vector: return get_vector(in);
    case Type::finished: return get_finished(in);
    case Type::failed: {
      TACIT_TRY(auto error, get_error(in));
      return domain::Failed{std::move(error)};
    }
    default: return fail(Code::malformed, "unknown event type");
  }
}

template <class... Fs> struct Overload : Fs... {
  using Fs::operator()...;
};

}  // namespace

SecretBytes encode_command(const Command& command) {
  return std::visit(Overload{[](const Generate& v) {
                               return frame([&v](auto& out) {
                                 out.type(Type::generate);
                                 out.u64(v.id);
                                 out.u32(v.credit);
                                 out.u32(v.time_ms);
                                 put_request(out, v.request);
                               });
                             },
                             [](const Cancel& v) {
                               return frame([&v](auto& out) {
                                 out.type(Type::cancel);
                                 out.u64(v.id);
                               });
                             },
                             [](const Credit& v) {
                               return frame([&v](auto& out) {
                                 out.type(Type::credit);
                                 out.u64(v.id);
                                 out.u32(v.deltas);
                               });
                             }},
                    command);
}

SecretBytes encode_notice(const Notice& notice) {
  return std::visit(
      Overload{[](const Hello& v) {
                 return frame([&v](auto& out) {
                   out.type(Type::hello);
                   out.u16(v.version);
                   out.u8(static_cast<std::uint8_t>(v.sandbox.landlock_abi));
                   for (const bool wall : {v.sandbox.seccomp, v.sandbox.no_new_privileges,
                                           v.sandbox.resource_limits, v.sandbox.core_dumps_off}) {
                     out.u8(wall ? 1 : 0);
                   }
                 });
               },
               [](const Ready& v) {
                 return frame([&v](auto& out) {
                   out.type(Type::ready);
                   out.u32(v.context_tokens_max);
                   out.u32(v.sequences_max);
                   out.u64(v.size_bytes);
                 });
               },
               [](const LoadFailed& v) {
                 return frame([&v](auto& out) {
                   out.type(Type::load_failed);
                   out.error(v.error);
                 });
               },
               [](const StatsReport& v) {
                 return frame([&v](auto& out) {
                   out.type(Type::stats);
                   out.u32(v.running);
                   out.u32(v.waiting);
                   out.f32(v.kv_cache_usage);
                 });
               }},
      notice);
}

namespace {

template <class W> void put_logprob(W& out, const domain::TokenLogprob& v, bool with_top) {
  out.i32(v.token);
  out.text(v.bytes.reveal());
  out.f32(v.logprob);
  if (!with_top) return;
  out.u32(static_cast<std::uint32_t>(v.top.size()));
  for (const auto& each : v.top) put_logprob(out, each, false);
}

struct PutEvent {
  RequestId id;
  template <class Body> SecretBytes put(Type type, const Body& body) const {
    return frame([&](auto& out) {
      out.type(type);
      out.u64(id);
      body(out);
    });
  }
  SecretBytes operator()(const domain::Started& v) const {
    return put(Type::started, [&](auto& out) { out.u32(v.prompt_tokens); });
  }
  SecretBytes operator()(const domain::TextDelta& v) const {
    return put(Type::text, [&](auto& out) {
      out.u32(v.num_tokens);
      out.text(v.text.reveal());
      out.u32(static_cast<std::uint32_t>(v.logprobs.size()));
      for (const auto& each : v.logprobs) put_logprob(out, each, true);
    });
  }
  SecretBytes operator()(const domain::ReasoningDelta& v) const {
    return put(Type::reasoning, [&](auto& out) {
      out.u32(v.num_tokens);
      out.text(v.text.reveal());
    });
  }
  SecretBytes operator()(const domain::ToolCallDelta& v) const {
    return put(Type::tool_call, [&](auto& out) {
      out.u32(v.num_tokens);
      out.u32(v.index);
      out.text(v.id);
      out.text(v.name);
      out.text(v.arguments.reveal());
    });
  }
  SecretBytes operator()(const domain::TokensDelta& v) const {
    return put(Type::tokens, [&](auto& out) {
      out.u32(static_cast<std::uint32_t>(v.tokens.size()));
      for (const auto token : v.tokens) out.i32(token);
    });
  }
  SecretBytes operator()(const domain::VectorDelta& v) const {
    return put(Type::vector, [&](auto& out) {
      out.u32(static_cast<std::uint32_t>(v.values.size()));
      for (const auto value : v.values) out.f32(value);
    });
  }
  SecretBytes operator()(const domain::Finished& v) const {
    return put(Type::finished, [&](auto& out) {
      out.type(v.reason);
      out.u32(v.usage.prompt_tokens);
      out.u32(v.usage.cached_prompt_tokens);
      out.u32(v.usage.completion_tokens);
      out.flag(v.stop_index.has_value());
      if (v.stop_index) out.u32(*v.stop_index);
    });
  }
  SecretBytes operator()(const domain::Failed& v) const {
    return put(Type::failed, [&](auto& out) { out.error(v.error); });
  }
};

}  // namespace

SecretBytes encode_update(const Update& update) {
  return std::visit(PutEvent{update.id}, update.event);
}

Result<Command> decode_command(BytesView bytes) {
  ByteReader in{bytes};
  TACIT_TRY(const auto type, in.u8());
  TACIT_TRY(const auto id, in.u64());
  Command command;
  switch (static_cast<Type>(type)) {
    case Type::generate: {
      TACIT_TRY(const auto credit, in.u32());
      if (credit == 0 || credit > Limits::credit_max)
        return fail(Code::malformed, "credit out of range");
      TACIT_TRY(const auto time_ms, in.u32());
      TACIT_TRY(auto request, get_request(in));
      command = Generate{id, credit, std::move(request), time_ms};
      break;
    }
    case Type::cancel: command = Cancel{id}; break;
    case Type::credit: {
      TACIT_TRY(const auto deltas, in.u32());
      if (deltas == 0 || deltas > Limits::credit_max)
        return fail(Code::malformed, "credit out of range");
      command = Credit{id, deltas};
      break;
    }
    default: return fail(Code::malformed, "unknown command type");
  }
  TACIT_CHECK(done(in));
  return command;
}

Result<Notice> decode_notice(BytesView bytes) {
  ByteReader in{bytes};
  TACIT_TRY(const auto type, in.u8());
  Notice notice;
  switch (static_cast<Type>(type)) {
    case Type::hello: {
      Hello hello;
      TACIT_TRY(hello.version, in.u16());
      TACIT_TRY(hello.sandbox.landlock_abi, in.u8());
      TACIT_TRY(hello.sandbox.seccomp, get_bool(in));
      TACIT_TRY(hello.sandbox.no_new_privileges, get_bool(in));
      TACIT_TRY(hello.sandbox.resource_limits, get_bool(in));
      TACIT_TRY(hello.sandbox.core_dumps_off, get_bool(in));
      notice = hello;
      break;
    }
    case Type::ready: {
      Ready ready;
      TACIT_TRY(ready.context_tokens_max, in.u32());
      TACIT_TRY(ready.sequences_max, in.u32());
      TACIT_TRY(ready.size_bytes, in.u64());
      if (ready.context_tokens_max == 0 || ready.sequences_max == 0) {
        return fail(Code::malformed, "ready without room");
      }
      notice = ready;
      break;
    }
    case Type::load_failed: {
      TACIT_TRY(auto error, get_error(in));
      notice = LoadFailed{std::move(error)};
      break;
    }
    case Type::stats: {
      StatsReport stats;
      TACIT_TRY(stats.running, in.u32());
      TACIT_TRY(stats.waiting, in.u32());
      TACIT_TRY(stats.kv_cache_usage, in.f32());
      if (!(stats.kv_cache_usage >= 0.0f && stats.kv_cache_usage <= 1.0f)) {
        return fail(Code::malformed, "cache usage out of range");
      }
      notice = stats;
      break;
    }
    default: return fail(Code::malformed, "unknown notice type");
  }
  TACIT_CHECK(done(in));
  return notice;
}

Result<Update> decode_update(BytesView bytes) {
  ByteReader in{bytes};
  TACIT_TRY(const auto type, in.u8());
  TACIT_TRY(const auto id, in.u64());
  TACIT_TRY(auto event, get_event(static_cast<Type>(type), in));
  TACIT_CHECK(done(in));
  return Update{id, std::move(event)};
}

void FrameReader::wipe_consumed() noexcept {
  if (begin_ > wiped_) wipe(data_.reveal_mutable().subspan(wiped_, begin_ - wiped_));
  wiped_ = std::max(wiped_, begin_);
}

std::span<std::byte> FrameReader::buffer() {
  constexpr std::size_t kChunk = 16 * 1024;
  wipe_consumed();
  if (begin_ == end_) {
    begin_ = end_ = wiped_ = 0;
    if (data_.size() > 16 * kChunk) data_ = SecretBytes{};  // do not keep what one big frame needed
  }
  if (data_.size() - end_ < kChunk) {
    // Doubling what has arrived keeps the cost of growing linear and the memory within twice of it.
    SecretBytes next{std::max((end_ - begin_) * 2, 2 * kChunk)};
    std::ranges::copy(data_.reveal().subspan(begin_, end_ - begin_), next.reveal_mutable().begin());
    data_ = std::move(next);
    end_ -= begin_;
    begin_ = wiped_ = 0;
  }
  return data_.reveal_mutable().subspan(end_);
}

Result<std::optional<BytesView>> FrameReader::next() {
  wipe_consumed();
  ByteReader in{data_.reveal().subspan(begin_, end_ - begin_)};
  if (in.remaining() < 4) return std::nullopt;
  TACIT_TRY(const auto size, in.u32());
  if (size == 0) return fail(Code::malformed, "empty frame");
  if (size > frame_bytes_max_) {
    return fail(Error{Code::too_large, "frame"}
                    .with("bytes", size)
                    .with("limit", static_cast<std::int64_t>(frame_bytes_max_)));
  }
  if (in.remaining() < size) return std::nullopt;
  TACIT_TRY(const auto body, in.take(size));
  begin_ += 4 + size;
  return body;
}

}  // namespace tacit::engine
