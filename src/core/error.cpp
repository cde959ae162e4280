#include "core/error.hpp"

namespace tacit {

std::string_view code_name(Code code) noexcept {
  switch (code) {
    case Code::invalid_argument: return "invalid_argument";
    case Code::malformed: return "malformed";
    case Code::unsupported: return "unsupported";
    case Code::too_large: return "too_large";
    case Code::context_exceeded: return "context_exceeded";
    case Code::not_found: return "not_found";
    case Code::already_exists: return "already_exists";
    case Code::unauthenticated: return "unauthenticated";
    case Code::forbidden: return "forbidden";
    case Code::rate_limited: return "rate_limited";
    case Code::overloaded: return "overloaded";
    case Code::shutting_down: return "shutting_down";
    case Code::cancelled: return "cancelled";
    case Code::deadline_exceeded: return "deadline_exceeded";
    case Code::unavailable: return "unavailable";
    case Code::worker_lost: return "worker_lost";
    case Code::corrupt: return "corrupt";
    case Code::io: return "io";
    case Code::no_space: return "no_space";
    case Code::permission: return "permission";
    case Code::internal: return "internal";
  }
  return "unknown";
}

Error Error::with(Literal name, std::int64_t value) && {
  if (num_details_ < details_.size()) details_[num_details_++] = {name.text, value};
  return std::move(*this);
}

Error Error::about(PublicText subject) && {
  subject_ = subject.str();
  return std::move(*this);
}

Error Error::fix(Literal how) && {
  fix_ = how.text;
  return std::move(*this);
}

std::int64_t Error::value(std::string_view name, std::int64_t otherwise) const noexcept {
  for (std::size_t i = 0; i < num_details_; ++i) {
    if (details_[i].name == name) return details_[i].value;
  }
  return otherwise;
}

std::string Error::message() const {
  std::string out{what_};
  for (std::size_t i = 0; i < num_details_; ++i) {
    out += i == 0 ? " (" : ", ";
    out += details_[i].name;
    out += ' ';
    out += std::to_string(details_[i].value);
  }
  if (num_details_ > 0) out += ')';
  if (!subject_.empty()) {
    out += ": ";
    out += subject_;
  }
  return out;
}

std::string Error::explain() const {
  auto out = message();
  if (!fix_.empty()) {
    out += ". ";
    out += fix_;
  }
  return out;
}

}  // namespace tacit
