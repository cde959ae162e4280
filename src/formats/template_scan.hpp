// Chat templates (Jinja) looked at before anything renders them: what reaches out of the template
// into the program that renders it is named. Pure; linear in the text.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "core/error.hpp"

namespace tacit::formats {

struct TemplateFinding {
  Literal what;
  std::string subject;    // printable
  bool dangerous = true;  // false: not understood, so that nobody can say
};

// scan_template returns at most 16 findings; none: nothing but text, loops, conditions, filters and
// methods that every template language of this kind has.
std::vector<TemplateFinding> scan_template(std::string_view text);

}  // namespace tacit::formats
