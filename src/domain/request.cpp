#include "domain/request.hpp"

namespace tacit::domain {

Sampling with_defaults(Sampling wanted, const Sampling& defaults) {
  const auto fill = [](auto& value, const auto& otherwise) {
    if (!value) value = otherwise;
  };
  fill(wanted.temperature, defaults.temperature);
  fill(wanted.top_p, defaults.top_p);
  fill(wanted.min_p, defaults.min_p);
  fill(wanted.top_k, defaults.top_k);
  fill(wanted.frequency_penalty, defaults.frequency_penalty);
  fill(wanted.presence_penalty, defaults.presence_penalty);
  return wanted;  // a seed is never a default
}

GenerateRequest GenerateRequest::clone() const {
  GenerateRequest copy;
  copy.model = model;
  copy.messages.reserve(messages.size());
  for (const auto& message : messages)
    copy.messages.push_back({message.role, message.content.clone()});
  copy.sampling = sampling;
  copy.max_tokens = max_tokens;
  copy.stop.reserve(stop.size());
  for (const auto& text : stop) copy.stop.push_back(text.clone());
  copy.tenant = tenant;
  return copy;
}

}  // namespace tacit::domain
