#include "engine/protocol.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "core/text.hpp"
#include "engine/wire_error.hpp"

namespace tacit::engine {
namespace {

using Limits = ProtocolLimits;

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
};

// A frame is written twice: once to count, once into a buffer of exactly that size, so that content
// is never left behind in a buffer that was outgrown.
class Counter {
 public:
  void bytes(const void*, std::size_t n) { size_ += n; }
  std::size_t size() const noexcept { return size_; }

 private:
  std::size_t size_ = 0;
};
class Filler {
 public:
  explicit Filler(std::span<std::byte> out) : out_{out} {}
  void bytes(const void* data, std::size_t n) {
    if (n > 0) std::memcpy(out_.data(), data, n);
    out_ = out_.subspan(n);
  }

 private:
  std::span<std::byte> out_;
};

template <class Sink> class Writer {
 public:
  explicit Writer(Sink& sink) : sink_{sink} {}
  void type(Type v) { u8(static_cast<std::uint8_t>(v)); }
  void u8(std::uint8_t v) { little(v, 1); }
  void u16(std::uint16_t v) { little(v, 2); }
  void u32(std::uint32_t v) { little(v, 4); }
  void u64(std::uint64_t v) { little(v, 8); }
  void f32(float v) {
    std::uint32_t bits = 0;
    std::memcpy(&bits, &v, sizeof bits);
    u32(bits);
  }
  void text(std::string_view v) {
    u32(static_cast<std::uint32_t>(v.size()));
    sink_.bytes(v.data(), v.size());
  }
  void error(const Error& v) {
    const auto wire = to_wire(v);
    u16(wire.row);
    for (const auto value : wire.values) u64(static_cast<std::uint64_t>(value));
  }

 private:
  void little(std::uint64_t v, std::size_t n) {
    std::byte raw[8];
    for (std::size_t i = 0; i < n; ++i) raw[i] = static_cast<std::byte>(v >> (8 * i));
    sink_.bytes(raw, n);
  }
  Sink& sink_;
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

// Sampling: a bit per field that is present, then those fields.
template <class W> void put_sampling(W& out, const domain::Sampling& s) {
  const auto bit = [](bool present, unsigned at) { return static_cast<unsigned>(present) << at; };
  out.u8(static_cast<std::uint8_t>(bit(s.temperature.has_value(), 0) | bit(s.top_p.has_value(), 1) |
                                   bit(s.min_p.has_value(), 2) | bit(s.top_k.has_value(), 3) |
                                   bit(s.frequency_penalty.has_value(), 4) |
                                   bit(s.presence_penalty.has_value(), 5) |
                                   bit(s.seed.has_value(), 6)));
  if (s.temperature) out.f32(*s.temperature);
  if (s.top_p) out.f32(*s.top_p);
  if (s.min_p) out.f32(*s.min_p);
  if (s.top_k) out.u32(static_cast<std::uint32_t>(*s.top_k));
  if (s.frequency_penalty) out.f32(*s.frequency_penalty);
  if (s.presence_penalty) out.f32(*s.presence_penalty);
  if (s.seed) out.u32(*s.seed);
}

template <class W> void put_request(W& out, const domain::GenerateRequest& request) {
  out.text(request.model);
  out.text(request.tenant);
  put_sampling(out, request.sampling);
  out.u8(request.max_tokens ? 1 : 0);
  if (request.max_tokens) out.u32(*request.max_tokens);
  out.u32(static_cast<std::uint32_t>(request.messages.size()));
  for (const auto& message : request.messages) {
    out.u8(static_cast<std::uint8_t>(message.role));
    out.text(message.content.reveal());
  }
  out.u32(static_cast<std::uint32_t>(request.stop.size()));
  for (const auto& stop : request.stop) out.text(stop.reveal());
}

Result<std::string_view> get_text(ByteReader& in, std::size_t size_max) {
  TACIT_TRY(const auto raw, in.sized(size_max));
  if (!is_utf8(as_text(raw))) return fail(Code::malformed, "text is not UTF-8");
  return as_text(raw);
}

Result<bool> get_bool(ByteReader& in) {
  TACIT_TRY(const auto v, in.u8());
  if (v > 1) return fail(Code::malformed, "flag is neither 0 nor 1");
  return v == 1;
}

Result<domain::Sampling> get_sampling(ByteReader& in) {
  domain::Sampling s;
  TACIT_TRY(const unsigned present, in.u8());
  if (present > 0x7f) return fail(Code::malformed, "unknown sampling field");
  const auto has = [present](unsigned at) { return (present >> at & 1u) != 0; };
  const auto get = [&in](bool there, std::optional<float>& into) -> Result<void> {
    if (!there) return {};
    TACIT_TRY(const auto v, in.f32());
    into = v;
    return {};
  };
  TACIT_CHECK(get(has(0), s.temperature));
  TACIT_CHECK(get(has(1), s.top_p));
  TACIT_CHECK(get(has(2), s.min_p));
  if (has(3)) {
    TACIT_TRY(const auto v, in.u32());
    s.top_k = static_cast<std::int32_t>(v);
  }
  TACIT_CHECK(get(has(4), s.frequency_penalty));
  TACIT_CHECK(get(has(5), s.presence_penalty));
  if (has(6)) {
    TACIT_TRY(const auto v, in.u32());
    s.seed = v;
  }
  return s;
}

Result<domain::GenerateRequest> get_request(ByteReader& in) {
  domain::GenerateRequest request;
  TACIT_TRY(const auto model, get_text(in, Limits::name_bytes_max));
  request.model = model;
  TACIT_TRY(const auto tenant, get_text(in, Limits::name_bytes_max));
  request.tenant = tenant;
  TACIT_TRY(request.sampling, get_sampling(in));
  TACIT_TRY(const bool has_max, get_bool(in));
  if (has_max) {
    TACIT_TRY(const auto max, in.u32());
    request.max_tokens = max;
  }
  TACIT_TRY(const auto num_messages, in.u32());
  if (num_messages > Limits::messages_max) return fail(Code::too_large, "too many messages");
  for (std::uint32_t i = 0; i < num_messages; ++i) {
    TACIT_TRY(const auto role, in.u8());
    if (role > static_cast<std::uint8_t>(domain::Role::tool))
      return fail(Code::malformed, "unknown role");
    TACIT_TRY(const auto content, get_text(in, Limits::content_bytes_max));
    request.messages.push_back({static_cast<domain::Role>(role), domain::Content{content}});
  }
  TACIT_TRY(const auto num_stops, in.u32());
  if (num_stops > Limits::stops_max) return fail(Code::too_large, "too many stop texts");
  for (std::uint32_t i = 0; i < num_stops; ++i) {
    TACIT_TRY(const auto stop, get_text(in, Limits::stop_bytes_max));
    request.stop.emplace_back(stop);
  }
  TACIT_CHECK(check_request(request));
  return request;
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

template <class Delta> Result<domain::Event> get_delta(ByteReader& in) {
  TACIT_TRY(const auto num_tokens, in.u32());
  TACIT_TRY(const auto text, get_text(in, Limits::delta_bytes_max));
  if (text.empty()) return fail(Code::malformed, "empty delta");
  return Delta{domain::Content{text}, num_tokens};
}

Result<domain::Event> get_event(Type type, ByteReader& in) {
  switch (type) {
    case Type::started: {
      TACIT_TRY(const auto n, in.u32());
      return domain::Started{n};
    }
    case Type::text: return get_delta<domain::TextDelta>(in);
    case Type::reasoning: return get_delta<domain::ReasoningDelta>(in);
    case Type::finished: {
      TACIT_TRY(const auto reason, in.u8());
      if (reason > static_cast<std::uint8_t>(domain::FinishReason::length)) {
        return fail(Code::malformed, "unknown finish reason");
      }
      TACIT_TRY(const auto usage, get_usage(in));
      return domain::Finished{static_cast<domain::FinishReason>(reason), usage};
    }
    case Type::failed: {
      TACIT_TRY(auto error, get_error(in));
      return domain::Failed{std::move(error)};
    }
    default: return fail(Code::malformed, "unknown event type");
  }
}

Result<void> check_range(const std::optional<float>& value, float low, float high) {
  if (value && !(std::isfinite(*value) && *value >= low && *value <= high)) {
    return fail(Code::invalid_argument, "sampling parameter out of range");
  }
  return {};
}

template <class... Fs> struct Overload : Fs... {
  using Fs::operator()...;
};

}  // namespace

Result<void> check_request(const domain::GenerateRequest& request) {
  if (request.model.size() > Limits::name_bytes_max ||
      request.tenant.size() > Limits::name_bytes_max) {
    return fail(Code::too_large, "name too long");
  }
  if (!is_utf8(request.model) || !is_utf8(request.tenant))
    return fail(Code::invalid_argument, "name is not UTF-8");
  const auto& s = request.sampling;
  TACIT_CHECK(check_range(s.temperature, 0.0f, 2.0f));
  TACIT_CHECK(check_range(s.top_p, 0.0f, 1.0f));
  TACIT_CHECK(check_range(s.min_p, 0.0f, 1.0f));
  TACIT_CHECK(check_range(s.frequency_penalty, -2.0f, 2.0f));
  TACIT_CHECK(check_range(s.presence_penalty, -2.0f, 2.0f));
  if (s.top_k && *s.top_k < 0)
    return fail(Code::invalid_argument, "sampling parameter out of range");
  if (request.messages.size() > Limits::messages_max)
    return fail(Code::too_large, "too many messages");
  std::size_t bytes = 0;
  for (const auto& message : request.messages) {
    if (message.role > domain::Role::tool) return fail(Code::invalid_argument, "unknown role");
    if (!is_utf8(message.content.reveal()))
      return fail(Code::invalid_argument, "message is not UTF-8");
    bytes += message.content.size();
    if (bytes > Limits::content_bytes_max) {
      return fail(Error{Code::too_large, "conversation too long"}.with(
          "limit", static_cast<std::int64_t>(Limits::content_bytes_max)));
    }
  }
  if (request.stop.size() > Limits::stops_max) {
    return fail(Error{Code::too_large, "too many stop texts"}.with("limit", Limits::stops_max));
  }
  for (const auto& stop : request.stop) {
    if (stop.empty()) return fail(Code::invalid_argument, "stop text is empty");
    if (stop.size() > Limits::stop_bytes_max) {
      return fail(
          Error{Code::too_large, "stop text too long"}.with("limit", Limits::stop_bytes_max));
    }
    if (!is_utf8(stop.reveal())) return fail(Code::invalid_argument, "stop text is not UTF-8");
  }
  return {};
}

SecretBytes encode_command(const Command& command) {
  return std::visit(Overload{[](const Generate& v) {
                               return frame([&v](auto& out) {
                                 out.type(Type::generate);
                                 out.u64(v.id);
                                 out.u32(v.credit);
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

SecretBytes encode_update(const Update& update) {
  const auto delta = [&update](Type type, const auto& v) {
    return frame([&](auto& out) {
      out.type(type);
      out.u64(update.id);
      out.u32(v.num_tokens);
      out.text(v.text.reveal());
    });
  };
  return std::visit(
      Overload{[&](const domain::Started& v) {
                 return frame([&](auto& out) {
                   out.type(Type::started);
                   out.u64(update.id);
                   out.u32(v.prompt_tokens);
                 });
               },
               [&](const domain::TextDelta& v) { return delta(Type::text, v); },
               [&](const domain::ReasoningDelta& v) { return delta(Type::reasoning, v); },
               [&](const domain::Finished& v) {
                 return frame([&](auto& out) {
                   out.type(Type::finished);
                   out.u64(update.id);
                   out.u8(static_cast<std::uint8_t>(v.reason));
                   out.u32(v.usage.prompt_tokens);
                   out.u32(v.usage.cached_prompt_tokens);
                   out.u32(v.usage.completion_tokens);
                 });
               },
               [&](const domain::Failed& v) {
                 return frame([&](auto& out) {
                   out.type(Type::failed);
                   out.u64(update.id);
                   out.error(v.error);
                 });
               }},
      update.event);
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
      TACIT_TRY(auto request, get_request(in));
      command = Generate{id, credit, std::move(request)};
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
