"""What a deployment costs: an estimate from its synthesized templates and a dated table of prices."""
