import pexpect,sys,time,subprocess,os
g=sys.argv[1]; t=time.time()
subprocess.run(['cp','--sparse=always',g+'/disk.img','/tmp/d.img'],check=True); print('copy %.1f'%(time.time()-t))
machine=sys.argv[2]
dev={'microvm':['-M','microvm','-device','virtio-blk-device,drive=d'],'q35':['-M','q35','-device','virtio-blk-pci,drive=d']}[machine]
t=time.time()
c=pexpect.spawn('qemu-system-x86_64',dev+['-accel','kvm','-cpu','host','-smp','2','-m','512','-nodefaults','-no-user-config','-display','none','-serial','stdio','-no-reboot','-kernel',g+'/vmlinuz','-initrd',g+'/initrd.img','-append','console=ttyS0 root=/dev/vda ','-drive','file=/tmp/d.img,format=raw,if=none,id=d'],encoding='utf8',timeout=200)
c.logfile_read=open('/work/main/tests/lab/.o/boot.log','w')
try:
    c.expect('login: '); print('login %.1f'%(time.time()-t))
    c.sendline('root'); c.expect('Password: '); c.sendline('vole'); c.expect('# '); print('shell %.1f'%(time.time()-t))
    c.sendline('nproc; free -m; lsblk; ip a; systemd-analyze; systemctl --failed; systemd-analyze blame|head -20'); c.expect('# '); print(c.before)
    t=time.time(); c.sendline('poweroff'); c.expect(pexpect.EOF); print('off %.1f'%(time.time()-t))
except Exception as e:
    print(open('/tmp/boot.log').read()[-3000:]); raise
