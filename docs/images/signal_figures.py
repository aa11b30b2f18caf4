def figure(name, run): return ""
