"""Forwards in plain steps, from which native code is made: nothing looks at values."""
