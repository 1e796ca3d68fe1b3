#include <stdio.h>
#include "creadline.h"
