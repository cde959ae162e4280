// Private to the protocol: a GenerateRequest in a frame.
#pragma once

#include <bit>

#include "domain/request.hpp"
#include "engine/protocol.hpp"
#include "engine/wire_codec.hpp"

namespace tacit::engine::wire {

// Calls `f` with every member of Sampling, in the order of the wire; each is 32 bits.
template <class S, class F> void each_sampling_field(S& s, F&& f) {
  f(s.temperature);
  f(s.top_p);
  f(s.min_p);
  f(s.top_k);
  f(s.frequency_penalty);
  f(s.presence_penalty);
  f(s.seed);
  f(s.typical_p);
  f(s.repeat_penalty);
  f(s.repeat_last_n);
  f(s.dry_multiplier);
  f(s.dry_base);
  f(s.dry_allowed_length);
  f(s.dry_penalty_last_n);
  f(s.xtc_probability);
  f(s.xtc_threshold);
  f(s.mirostat);
  f(s.mirostat_tau);
  f(s.mirostat_eta);
}
inline constexpr unsigned kSamplingFields = 19;

// Sampling: a bit per field that is present, then those fields.
template <class W> void put_sampling(W& out, const domain::Sampling& sampling) {
  std::uint32_t present = 0;
  unsigned at = 0;
  each_sampling_field(sampling, [&](const auto& field) { present |= (field ? 1u : 0u) << at++; });
  out.u32(present);
  each_sampling_field(sampling, [&](const auto& field) {
    if (field) out.u32(std::bit_cast<std::uint32_t>(*field));
  });
}

template <class W> void put_message(W& out, const domain::Message& message) {
  out.type(message.role);
  out.text(message.content.reveal());
  out.text(message.reasoning.reveal());
  out.text(message.tool_call_id);
  out.text(message.tool_name);
  out.u32(static_cast<std::uint32_t>(message.tool_calls.size()));
  for (const auto& call : message.tool_calls) {
    out.text(call.id);
    out.text(call.name);
    out.text(call.arguments.reveal());
  }
}

template <class W> void put_prompt(W& out, const domain::GenerateRequest& request) {
  out.u32(static_cast<std::uint32_t>(request.messages.size()));
  for (const auto& message : request.messages) put_message(out, message);
  out.flag(request.text.has_value());
  if (request.text) out.text(request.text->reveal());
  out.flag(request.tokens.has_value());
  if (request.tokens) {
    out.u32(static_cast<std::uint32_t>(request.tokens->size()));
    for (const auto token : *request.tokens) out.i32(token);
  }
  out.flag(request.text_has_special);
  out.flag(request.add_start_token);
  out.flag(request.continue_last);
}

template <class W> void put_request(W& out, const domain::GenerateRequest& request) {
  const auto optional_u32 = [&out](const std::optional<std::uint32_t>& v) {
    out.flag(v.has_value());
    if (v) out.u32(*v);
  };
  out.type(request.purpose);
  out.text(request.model);
  // Who asks is the front's business: the worker only learns which requests are of one tenant.
  out.flag(request.cache_salt.has_value());
  if (request.cache_salt)
    for (const auto byte : *request.cache_salt) out.u8(byte);
  out.u32(request.tenant_weight);
  put_sampling(out, request.sampling);
  optional_u32(request.max_tokens);
  put_prompt(out, request);
  out.u32(static_cast<std::uint32_t>(request.tools.size()));
  for (const auto& tool : request.tools) {
    out.text(tool.name);
    out.text(tool.description.reveal());
    out.text(tool.parameters.reveal());
  }
  out.type(request.tool_choice.use);
  out.text(request.tool_choice.name);
  out.flag(request.tool_choice.parallel);
  out.type(request.constraint.kind);
  out.text(request.constraint.text.reveal());
  out.type(request.reasoning.effort);
  optional_u32(request.reasoning.tokens_max);
  out.u32(static_cast<std::uint32_t>(request.logit_bias.size()));
  for (const auto& each : request.logit_bias) {
    out.i32(each.token);
    out.f32(each.bias);
  }
  optional_u32(request.logprobs);
  out.flag(request.ignore_end);
  out.u32(static_cast<std::uint32_t>(request.stop.size()));
  for (const auto& stop : request.stop) out.text(stop.reveal());
}

// Reads what put_request wrote; the result passes check_request.
Result<domain::GenerateRequest> get_request(ByteReader& in);

}  // namespace tacit::engine::wire
