"""One 3D run for every model that draws slice by slice: a coarse 3D network says where, the model draws the edge."""
