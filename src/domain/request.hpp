// A generation request, free of any wire format. Every API parses into this; every backend reads
// it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "domain/content.hpp"

namespace tacit::domain {

enum class Role : std::uint8_t { system, user, assistant, tool };

struct Message {
  Role role = Role::user;
  Content content;
};

// Sampling parameters; unset means the model's or the engine's default.
struct Sampling {
  std::optional<float> temperature;        // 0 is greedy; [0, 2]
  std::optional<float> top_p;              // (0, 1]
  std::optional<float> min_p;              // [0, 1]
  std::optional<std::int32_t> top_k;       // 0 is off
  std::optional<float> frequency_penalty;  // [-2, 2]
  std::optional<float> presence_penalty;   // [-2, 2]
  std::optional<std::uint32_t> seed;       // unset: random
};

// with_defaults fills what `wanted` leaves open from `defaults` (what a model's publisher
// recommends).
Sampling with_defaults(Sampling wanted, const Sampling& defaults);

// GenerateRequest is one chat turn to be completed.
struct GenerateRequest {
  GenerateRequest() = default;
  GenerateRequest(GenerateRequest&&) noexcept = default;
  GenerateRequest& operator=(GenerateRequest&&) noexcept = default;

  std::string model;  // as the caller named it; a public name
  std::vector<Message> messages;
  Sampling sampling;
  std::optional<std::uint32_t> max_tokens;  // unset: until the model stops or the context is full
  std::vector<Content> stop;                // generation ends before any of these
  std::string tenant;  // who asks (an opaque id, set by the gateway, never by the caller)

  // clone copies content on purpose: a retry or a benchmark needs it.
  GenerateRequest clone() const;
};

}  // namespace tacit::domain
