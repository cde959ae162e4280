// Shared libraries that are used when they are there. Private to this module.
#pragma once

#include <string>

#include "core/error.hpp"

namespace tacit::attester {

// Library closes the library when it dies. Movable.
class Library {
 public:
  // Errors: not_found.
  static Result<Library> open(const std::string& name);
  Library() noexcept = default;
  ~Library();
  Library(Library&& other) noexcept;
  Library& operator=(Library&& other) noexcept;
  Library(const Library&) = delete;
  Library& operator=(const Library&) = delete;

  // Sets `function` to the symbol; false when the library has none of that name.
  template <class Function> bool find(const char* name, Function*& function) const {
    function = reinterpret_cast<Function*>(symbol(name));
    return function != nullptr;
  }

 private:
  void* symbol(const char* name) const;
  void* handle_ = nullptr;
};

}  // namespace tacit::attester
