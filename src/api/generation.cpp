#include "api/generation.hpp"

namespace tacit::api {

std::vector<domain::GenerateRequest> choices_of(domain::GenerateRequest request,
                                                std::uint32_t num_choices) {
  std::vector<domain::GenerateRequest> requests;
  requests.reserve(num_choices);
  for (std::uint32_t i = 1; i < num_choices; ++i) {
    auto& copy = requests.emplace_back(request.clone());
    if (copy.sampling.seed) *copy.sampling.seed += i;
  }
  requests.insert(requests.begin(), std::move(request));
  return requests;
}

}  // namespace tacit::api
