if [ "$(sysctl -n -i hw.vmm.vmx.initialized)" = 1 ] || [ -n "$(sysctl -n -i hw.vmm.svm.features)" ]; then exit 0; fi
echo "the processor does not offer virtualization: switch VT-x or SVM on in the firmware of the host" >&2
exit 1
