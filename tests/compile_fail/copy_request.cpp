// A request carries prompts, so it is not copied by accident either.
// expect: (implicitly-)?deleted (copy )?constructor of|deleted function|implicitly deleted
#include "domain/request.hpp"

tacit::domain::GenerateRequest twin(const tacit::domain::GenerateRequest& request) {
#ifdef TACIT_CONTROL
  return request.clone();
#else
  return request;
#endif
}
