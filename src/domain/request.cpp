#include "domain/request.hpp"

namespace tacit::domain {
namespace {

Message copy_of(const Message& message) {
  Message copy{message.role, message.content.clone(), message.reasoning.clone(),
               {},           message.tool_call_id,    message.tool_name};
  copy.tool_calls.reserve(message.tool_calls.size());
  for (const auto& call : message.tool_calls)
    copy.tool_calls.push_back({call.id, call.name, call.arguments.clone()});
  return copy;
}

}  // namespace

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
  fill(wanted.typical_p, defaults.typical_p);
  fill(wanted.repeat_penalty, defaults.repeat_penalty);
  fill(wanted.repeat_last_n, defaults.repeat_last_n);
  return wanted;  // a seed is never a default
}

GenerateRequest GenerateRequest::clone() const {
  GenerateRequest copy;
  copy.purpose = purpose;
  copy.model = model;
  copy.messages.reserve(messages.size());
  for (const auto& message : messages) copy.messages.push_back(copy_of(message));
  if (text) copy.text = text->clone();
  copy.tokens = tokens;
  copy.text_has_special = text_has_special;
  copy.add_start_token = add_start_token;
  copy.continue_last = continue_last;
  copy.tools.reserve(tools.size());
  for (const auto& tool : tools)
    copy.tools.push_back({tool.name, tool.description.clone(), tool.parameters.clone()});
  copy.tool_choice = tool_choice;
  copy.constraint = {constraint.kind, constraint.text.clone()};
  copy.reasoning = reasoning;
  copy.sampling = sampling;
  copy.logit_bias = logit_bias;
  copy.logprobs = logprobs;
  copy.ignore_end = ignore_end;
  copy.max_tokens = max_tokens;
  copy.stop.reserve(stop.size());
  for (const auto& each : stop) copy.stop.push_back(each.clone());
  copy.tenant = tenant;
  copy.cache_salt = cache_salt;
  copy.tenant_weight = tenant_weight;
  return copy;
}

}  // namespace tacit::domain
