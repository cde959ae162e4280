#include "domain/request.hpp"

namespace tacit::domain {

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
