#include "attester/library.hpp"

#include <dlfcn.h>

namespace tacit::attester {

Result<Library> Library::open(const std::string& name) {
  Library out;
  out.handle_ = ::dlopen(name.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (out.handle_ == nullptr)
    return fail(Error{Code::not_found, "a library is not installed"}.about(PublicText{name}));
  return out;
}

Library::~Library() {
  if (handle_ != nullptr) ::dlclose(handle_);
}
Library::Library(Library&& other) noexcept : handle_{std::exchange(other.handle_, nullptr)} {}
Library& Library::operator=(Library&& other) noexcept {
  std::swap(handle_, other.handle_);
  return *this;
}

void* Library::symbol(const char* name) const { return ::dlsym(handle_, name); }

}  // namespace tacit::attester
