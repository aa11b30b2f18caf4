"""Settings, YAML files and model configurations.

settings       the `sftguide:` block
mix_settings   its `mix:` block
validation     validation of blocks of settings
yaml_file      reading and changing YAML files
model_configs  a model's `config.json`
axolotl_keys   keys that Axolotl accepts
evaluation     how Axolotl evaluates
deepspeed      DeepSpeed's settings
installed      versions of installed packages
"""
